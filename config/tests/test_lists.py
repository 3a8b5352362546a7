"""Every list in the admin: as many queries for 25 rows as for one, and as many as were agreed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.tests.admin_rows import rows_by_model
from core.tests.people import administrator, signed_in

AGREED = Path(__file__).with_name("query_counts.json")
UPDATE = "UPDATE_QUERY_COUNTS"
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label_lower)


def _queries(client: Client, address: str) -> int:
    ContentType.objects.clear_cache()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label_lower)
def test_list__with_one_and_with_25_rows__makes_the_agreed_number_of_queries(model: Any) -> None:
    label = model._meta.label_lower
    make = rows_by_model().get(label)
    if make is None:
        pytest.skip("its app registers no rows in tests/admin_rows.py")
    client = signed_in(administrator())
    address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    make(1)
    one = _queries(client, address)
    make(24)

    many = _queries(client, address)

    assert many == one
    assert one == _agreed(label, one)


def _agreed(label: str, found: int) -> int:
    """Return the agreed number; with UPDATE_QUERY_COUNTS=1 the number found becomes it."""
    agreed: dict[str, dict[str, int]] = json.loads(AGREED.read_text()) if AGREED.is_file() else {}
    if os.environ.get(UPDATE) == "1":
        agreed.setdefault(connection.vendor, {})[label] = found
        AGREED.write_text(json.dumps(agreed, indent=2, sort_keys=True) + "\n")
    return agreed.get(connection.vendor, {}).get(label, -1)
