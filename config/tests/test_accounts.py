"""Getting in: one door with rate limits and a second factor, no sign-up, no default password."""

from __future__ import annotations

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from core.tests.people import PASSWORD, administrator, person, signed_in

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_limits_left_over() -> None:
    cache.clear()


def _sign_in(client: Client, name: str, password: str = PASSWORD) -> str:
    return client.post(LOGIN, {"login": name, "password": password}).get("Location", "")


def test_admin__anonymous__is_sent_to_the_one_sign_in_page() -> None:
    client = Client()

    answer = client.get("/admin/core/job/", follow=True)

    assert answer.request["PATH_INFO"] == LOGIN
    assert answer.request["QUERY_STRING"] == "next=%2Fadmin%2Fcore%2Fjob%2F"
    page = answer.content.decode()
    assert 'autocomplete="current-password"' in page
    assert "Sign in with a passkey" in page


@pytest.mark.parametrize("name", ["root", "root@example.org"])
def test_sign_in__by_name_or_e_mail__lands_on_the_home_page(name: str) -> None:
    administrator()
    client = Client()

    assert _sign_in(client, name) == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_sign_in__wrong_password__says_nothing_about_the_account_and_is_limited() -> None:
    administrator()
    client = Client()

    answers = [client.post(LOGIN, {"login": "root", "password": "wrong"}).content.decode() for _ in range(5)]
    limited = client.post(LOGIN, {"login": "root", "password": PASSWORD})

    assert all("not correct" in page for page in answers)
    assert "Too many failed login attempts" in limited.content.decode()
    assert client.get("/admin/").status_code == 302


def test_sign_in__with_a_second_factor__asks_for_it_before_anything_opens() -> None:
    user = administrator()
    totp.TOTP.activate(user, totp.generate_totp_secret())
    RecoveryCodes.activate(user)
    client = Client()

    assert _sign_in(client, "root") == "/accounts/2fa/authenticate/"
    assert client.get("/admin/").status_code == 302
    code = RecoveryCodes(user.authenticator_set.get(type="recovery_codes")).get_unused_codes()[0]  # type: ignore[attr-defined]
    assert client.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert client.get("/admin/").status_code == 302
    client.post("/accounts/2fa/authenticate/", {"code": code})
    assert client.get("/admin/").status_code == 200


def test_sign_up__by_anybody__is_closed() -> None:
    client = Client()
    form = {"username": "eve", "email": "eve@example.org", "password1": PASSWORD, "password2": PASSWORD}

    assert "Sign-up is closed" in client.get("/accounts/signup/").content.decode()
    client.post("/accounts/signup/", form)

    assert not User.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/2fa/", "/accounts/sessions/", "/accounts/email/", "/accounts/password/change/", "/accounts/logout/",
        "/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/", "/accounts/reauthenticate/",
    ],
)  # fmt: skip
def test_account_pages__signed_in__are_inside_the_theme(address: str) -> None:
    client = Client()
    administrator()
    _sign_in(client, "root")

    page = client.get(address, follow=True)

    assert page.status_code == 200
    assert "css/platform.css" in page.content.decode()


def test_sign_out__by_post__ends_the_session() -> None:
    client = signed_in(administrator())

    assert client.post("/admin/logout/")["Location"] == LOGIN
    assert client.get("/admin/").status_code == 302


def test_no_role__signed_in__is_told_so_instead_of_going_round_in_circles() -> None:
    client = signed_in(person())

    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert "Your roles do not include it" in answer.content.decode()


def test_root__address__leads_to_the_admin() -> None:
    assert Client().get("/")["Location"] == "/admin/"


def test_fresh_installation__has_no_account_at_all() -> None:
    assert not User.objects.exists()
