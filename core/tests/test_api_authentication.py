"""Who may ask: keys, sessions, and what each is told when refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from core.apikeys import revoke_key
from core.models import ApiKey, Job
from core.tests.api import READ, WRITE, bearer, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core.tests.api")]
THING = b'{"title": "a"}'


def _person(*permissions: str) -> User:
    person = User.objects.create_user("maria", password="correct horse battery staple")
    for name in permissions:
        app, codename = name.split(".")
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return person


def test_request__no_key__is_401_that_says_how(client: Client) -> None:
    response = client.get("/api/v1/things")

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="Agent Factory"'
    assert response.json()["type"] == "urn:agent-factory:problem:not_authenticated"


def test_request__key__is_served_and_sets_no_cookie(client: Client) -> None:
    response = client.get("/api/v1/whoami", headers=bearer(new_key(READ, entity=("agent", "a-1"))))

    assert response.status_code == 200
    assert not response.cookies
    answer = response.json()
    assert (answer["kind"], answer["scopes"], answer["entity"]) == ("api_key", [READ], {"type": "agent", "id": "a-1"})
    assert (answer["currency"], answer["time_zone"]) == (settings.BASE_CURRENCY, settings.ORGANISATION_TIME_ZONE)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer af_abcdefgh_" + "x" * 43, "key_unknown"),
        ("Bearer nonsense", "key_unknown"),
        ("Bearer", "key_unknown"),
        ("Basic dXNlcjpwYXNz", "key_unknown"),
        ("", "key_unknown"),
    ],
)
def test_request__header_that_opens_nothing__is_401(client: Client, header: str, code: str) -> None:
    response = client.get("/api/v1/whoami", headers={"Authorization": header})

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="Agent Factory", error="invalid_token"'
    assert response.json()["type"] == f"urn:agent-factory:problem:{code}"


def test_request__revoked_expired_and_unknown_keys__are_told_apart(client: Client) -> None:
    revoked, expired = new_key(), new_key(expires_in=timedelta(hours=1))
    revoke_key(revoked.key, now=datetime.now(UTC), reason="leaked")
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=datetime.now(UTC))

    answers = [client.get("/api/v1/whoami", headers=bearer(key)) for key in (revoked, expired, "af_unknown")]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    kinds = [answer.json()["type"].rpartition(":")[2] for answer in answers]
    assert kinds == ["key_revoked", "key_expired", "key_unknown"]
    assert len({answer.json()["detail"] for answer in answers}) == 3


def test_request__key_without_the_scope__is_403_that_names_it(client: Client) -> None:
    response = client.post("/api/v1/things", THING, "application/json", headers=bearer(new_key(READ)))

    assert response.status_code == 403
    assert response.json()["detail"] == f"this needs the scope {WRITE}"
    assert not Job.objects.exists()


def test_request__bound_key__reaches_its_own_entity_only(client: Client) -> None:
    headers = bearer(new_key(READ, entity=("agent", "a/1")))

    own = client.get("/api/v1/bound/agent/a/1", headers=headers)
    other = client.get("/api/v1/bound/agent/a", headers=headers)
    whole = client.get("/api/v1/everything", headers=headers)

    assert (own.status_code, other.status_code, whole.status_code) == (200, 403, 403)
    assert other.json()["type"] == "urn:agent-factory:problem:entity_forbidden"


def test_request__bad_key_beside_a_session__is_not_served_by_the_session(client: Client) -> None:
    client.force_login(_person("costs.view_costevent"))

    response = client.get("/api/v1/things", headers=bearer("af_unknown"))

    assert response.status_code == 401


def test_request__session__is_served_by_the_permission_of_the_scope(client: Client) -> None:
    client.force_login(_person("costs.view_costevent"))

    allowed = client.get("/api/v1/things")
    refused = client.post("/api/v1/things", THING, "application/json")

    assert (allowed.status_code, refused.status_code) == (200, 403)
    assert client.get("/api/v1/whoami").json()["kind"] == "user"
    assert not Job.objects.exists()


def test_request__session_without_csrf_token__is_403_on_unsafe_methods() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(_person("costs.add_costevent", "costs.view_costevent"))

    refused = client.post("/api/v1/things", THING, "application/json")
    allowed = client.get("/api/v1/things")

    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert "CSRF" in refused.json()["detail"]
    assert not Job.objects.exists()


def test_request__session_with_csrf_token__is_served() -> None:
    client = Client(enforce_csrf_checks=True)
    person = _person("costs.add_costevent")
    User.objects.filter(pk=person.pk).update(is_staff=True)
    client.force_login(person)
    client.get("/api/docs")
    token = client.cookies["csrftoken"].value

    response = client.post("/api/v1/things", THING, "application/json", headers={"X-CSRFToken": token})

    assert response.status_code == 201
    assert Job.objects.count() == 1


def test_request__key__runs_no_session_or_message_code(client: Client, django_assert_num_queries: Any) -> None:
    client.force_login(_person())
    headers = bearer(new_key())
    client.get("/api/v1/whoami", headers=headers)

    with django_assert_num_queries(0):
        request = client.get("/api/v1/whoami", headers=headers).wsgi_request

    assert not hasattr(request, "session")
    assert not hasattr(request, "_messages")


def test_options__key__names_the_methods(client: Client) -> None:
    response = client.options("/api/v1/things", headers=bearer(new_key(READ)))

    assert (response.status_code, response.content) == (204, b"")
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_handler__without_a_scope__cannot_be_written() -> None:
    from core.api.views import ApiView

    with pytest.raises(TypeError, match="add POST to required_scopes"):
        type("Forgotten", (ApiView,), {"required_scopes": {"GET": READ}, "get": print, "post": print})
