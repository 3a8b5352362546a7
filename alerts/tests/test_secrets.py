"""Secrets of channels in the database: brought to a new key, and what happens when theirs is gone."""

from __future__ import annotations

from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from alerts.models import Channel
from core.encryption import decrypt, encrypt

OLD, NEW = "the old key, long enough to be one " * 2, "the new key, long enough to be one " * 2
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]


def test_reencrypt__after_a_key_was_put_in_front__leaves_nothing_for_the_former_one(
    now: datetime, settings: Any
) -> None:
    # given two channels of the old key
    for name in ("a", "b"):
        Channel.objects.create(name=name, kind="slack", secret=encrypt(f"secret {name}"), created_at=now)
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    # when the command runs twice
    said = [StringIO(), StringIO()]
    for out in said:
        call_command("reencrypt_secrets", stdout=out)

    # then the new key alone opens everything
    settings.ENCRYPTION_KEYS = [NEW]
    secrets = Channel.objects.exclude(secret="").order_by("name").values_list("secret", flat=True)
    assert [decrypt(token) for token in secrets] == ["secret a", "secret b"]
    assert [out.getvalue().strip() for out in said] == [
        "2 value(s) rewritten; every value opens with the first key.",
        "0 value(s) rewritten; every value opens with the first key.",
    ]


def test_reencrypt__of_a_value_that_no_key_opens__names_the_row_and_fails(now: datetime, settings: Any) -> None:
    row = Channel.objects.create(name="a", kind="slack", secret=encrypt("secret"), created_at=now)
    settings.ENCRYPTION_KEYS = [NEW]

    with pytest.raises(CommandError, match=f"alerts.channel {row.pk} secret"):
        call_command("reencrypt_secrets", stdout=StringIO())
