"""Text at rest: encrypted with the first key, readable with any, and refused when it was changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.encryption import Undecryptable, decrypt, encrypt, uses_first_key

OLD, NEW = "the old key, long enough to be one " * 2, "the new key, long enough to be one " * 2


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]


@pytest.mark.parametrize("text", ["secret", "ünïcödé \U0001f511", "x" * 100_000])
def test_text__encrypted__reads_back_and_shows_nothing(text: str) -> None:
    token = encrypt(text)

    assert decrypt(token) == text
    assert text not in token
    assert encrypt(text) != token


def test_nothing__stays_nothing() -> None:
    assert (encrypt(""), decrypt("")) == ("", "")


def test_text__after_the_key_was_changed__is_read_with_the_former_one(settings: Any) -> None:
    token = encrypt("secret")
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    assert decrypt(token) == "secret"
    assert (uses_first_key(token), uses_first_key(encrypt("secret"))) == (False, True)


@pytest.mark.parametrize("damage", [lambda token: token[:-4] + "AAA=", lambda _: "not a token", lambda _: "ü"])
def test_text__that_was_changed__is_refused_with_the_cure(damage: Any) -> None:
    with pytest.raises(Undecryptable, match="ENCRYPTION_KEYS"):
        decrypt(damage(encrypt("secret")))


def test_text__with_its_key_gone__is_refused(settings: Any) -> None:
    token = encrypt("secret")
    settings.ENCRYPTION_KEYS = [NEW]

    with pytest.raises(Undecryptable):
        decrypt(token)


def test_text__without_any_key__cannot_be_kept(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = []

    with pytest.raises(ImproperlyConfigured):
        encrypt("secret")
