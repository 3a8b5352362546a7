"""The OpenSLO page: tried out, imported, downloaded; only by who may change objectives."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from slas.models import Service, Slo
from slas.tests.test_openslo import DOCUMENTS

pytestmark = pytest.mark.django_db


def _person(role: str) -> Client:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def _page() -> str:
    return reverse("admin:slas_openslo")


def test_openslo_page__tried_out__shows_the_steps_and_writes_nothing() -> None:
    page = _person("operations").post(_page(), {"documents": DOCUMENTS, "try": "1"}).content.decode()

    assert "shop/latency-2" in page
    assert "Datadog is not read from here" in page
    assert not Service.objects.exists()


def test_openslo_page__file_is_imported__and_downloaded_again() -> None:
    person = _person("operations")
    upload = SimpleUploadedFile("slo.yaml", DOCUMENTS.encode())

    done = person.post(_page(), {"file": upload, "import": "1"})
    download = person.get(f"{_page()}?download=1")

    assert (done.status_code, Slo.objects.count()) == (302, 3)
    assert "objectives.openslo.yaml" in download["Content-Disposition"]
    assert download.content.decode().count("kind: SLO") == 3


def test_openslo_page__unsound_document__names_the_place_and_keeps_the_text() -> None:
    wrong = DOCUMENTS.replace("target: 0.9995", "target: 7")

    page = _person("operations").post(_page(), {"documents": wrong, "import": "1"}).content.decode()

    assert "/3/spec/objectives/0/target" in page
    assert "target: 7" in page
    assert not Service.objects.exists()


def test_openslo_page__auditor__may_download_and_not_import() -> None:
    auditor = _person("auditor")

    assert auditor.get(f"{_page()}?download=1").status_code == 200
    assert "Try it out" not in auditor.get(_page()).content.decode()
    assert auditor.post(_page(), {"documents": DOCUMENTS, "import": "1"}).status_code == 403
    assert not Service.objects.exists()
