"""The one-time set-up link: valid once, for a day, until there is an administrator."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core import setuplinks
from core.errors import Conflict, Missing
from core.models import AuditEntry, SetupLink
from core.setuplinks import create_setup_link, is_needed, is_valid, use_setup_link

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
FORM = {"username": "maria", "email": "maria@example.org", "password": PASSWORD, "repeated": PASSWORD}


def _token(path: str) -> str:
    return parse_qs(urlsplit(path).query)["token"][0]


def _use(token: str, now: datetime, name: str = "maria") -> User:
    user = use_setup_link(token, username=name, email=f"{name}@example.org", password=PASSWORD, now=now)
    assert isinstance(user, User)
    return user


def test_create__link__keeps_only_its_digest(now: datetime) -> None:
    path = create_setup_link(now)

    link = SetupLink.objects.get()
    assert path.startswith("/setup/?token=")
    assert _token(path) not in str(list(SetupLink.objects.values()))
    assert link.expires_at - link.created_at == timedelta(hours=24)


def test_use__valid_link__makes_the_administrator_once(now: datetime) -> None:
    token = _token(create_setup_link(now))

    user = _use(token, now)

    assert (user.is_superuser, user.is_staff, user.check_password(PASSWORD)) == (True, True, True)
    entry = AuditEntry.objects.get(action="user.set_up")
    assert (entry.actor_label, entry.after["username"]) == ("set-up link", "maria")
    assert PASSWORD not in str(entry.after)
    with pytest.raises(Missing):
        _use(token, now, "second")
    assert User.objects.count() == 1


def test_use__after_a_day_or_a_newer_link__is_refused(now: datetime) -> None:
    first = _token(create_setup_link(now))
    second = _token(create_setup_link(now + timedelta(minutes=1)))

    assert not is_valid(first, now + timedelta(minutes=2))
    assert is_valid(second, now + timedelta(hours=24))
    assert not is_valid(second, now + timedelta(hours=24, minutes=2))
    for token, at in ((first, now + timedelta(minutes=2)), (second, now + timedelta(days=2)), ("", now), ("x", now)):
        with pytest.raises(Missing):
            _use(token, at)
    assert not User.objects.exists()


def test_link__while_an_administrator_exists__is_neither_made_nor_used(now: datetime) -> None:
    token = _token(create_setup_link(now))
    User.objects.create_superuser("root", password=PASSWORD)

    assert not is_needed()
    with pytest.raises(Conflict):
        create_setup_link(now)
    with pytest.raises(Conflict):
        _use(token, now)
    assert User.objects.count() == 1


@pytest.mark.parametrize("password", [None, ""])
def test_is_needed__superuser_who_cannot_sign_in__does_not_count(password: str | None) -> None:
    user = User.objects.create_superuser("root", password=password)
    if password == "":
        User.objects.filter(pk=user.pk).update(password="")

    assert is_needed()


def test_page__valid_link__asks_makes_and_signs_in() -> None:
    path = create_setup_link(timezone.now())
    client = Client()

    shown = client.get(path)
    answer = client.post("/setup/", {**FORM, "token": _token(path)})

    assert shown["Cache-Control"] == "no-store"
    assert 'autocomplete="new-password"' in shown.content.decode()
    assert answer["Location"] == "/admin/"
    home = client.get("/admin/").content.decode()
    assert "First steps" in home
    assert "Add a second factor" in home
    assert client.get(path).status_code == 410


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "short", "repeated": "short"}, "too short"),
        ({"repeated": "something else entirely"}, "The two passwords differ"),
        ({"username": "a b"}, "valid username"),
        ({"email": "nobody"}, "valid email"),
        ({"username": ""}, "This field is required"),
    ],
)
def test_page__bad_values__make_nobody_and_keep_the_link(change: dict[str, str], message: str) -> None:
    token = _token(create_setup_link(timezone.now()))

    answer = Client().post("/setup/", {**FORM, **change, "token": token})

    assert message in answer.content.decode()
    assert not User.objects.exists()
    assert setuplinks.is_valid(token, timezone.now())


def test_page__wrong_token__is_gone() -> None:
    create_setup_link(timezone.now())

    assert Client().get("/setup/").status_code == 410
    assert Client().post("/setup/", {**FORM, "token": "wrong"}).status_code == 410
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_use__eight_at_once__one_wins() -> None:
    import threading

    from django.db import connection

    now = timezone.now()
    token = _token(create_setup_link(now))
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        try:
            _use(token, now, f"person{number}")
            outcomes.append("made")
        except (Missing, Conflict):
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made"] + ["refused"] * 7
    assert User.objects.count() == 1
