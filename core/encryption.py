"""Text at rest: encrypted with the first of ENCRYPTION_KEYS, readable with any of them.

A key is any long random text; the cipher's own key is derived from it (HKDF with SHA-256, RFC 5869). The cipher is
Fernet: AES-128-CBC with HMAC-SHA-256, under which a changed value is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction

PURPOSE = b"agent-factory text at rest"


class Undecryptable(Exception):
    """A stored value cannot be read: its key is not among ENCRYPTION_KEYS, or the value was changed."""

    def __init__(self) -> None:
        super().__init__(
            "This value cannot be decrypted: it was encrypted with a key that is not in ENCRYPTION_KEYS, or it was "
            "changed. Put the former key back behind the present one, or enter the secret again."
        )


class EncryptedField(models.TextField):  # type: ignore[type-arg]  # generic only in the stubs
    """A column of encrypted text. It holds what `encrypt` returned; reading it back is asked for with `decrypt`."""


def encrypt(text: str) -> str:
    """Return the text encrypted with the first key; nothing stays nothing."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode() if text else ""


def decrypt(token: str) -> str:
    """Return the text that was encrypted, with whichever key; raises Undecryptable."""
    if not token:
        return ""
    try:
        return _cipher(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except (InvalidToken, ValueError) as error:
        raise Undecryptable from error


def uses_first_key(token: str) -> bool:
    """Say whether the value opens with the first key alone."""
    try:
        _cipher(tuple(settings.ENCRYPTION_KEYS[:1])).decrypt(token.encode())
    except (InvalidToken, ValueError):
        return False
    return True


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Return every model and field that holds encrypted text."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedField):
                yield model, field.attname


def reencrypt_all() -> tuple[int, list[str]]:
    """Bring every stored value to the first key; returns how many were rewritten and the rows that cannot be read.

    Safe to run twice and beside writers: a value that was replaced meanwhile is left as it is.
    """
    rewritten, unreadable = 0, []
    for model, column in encrypted_columns():
        for key, token in _values(model, column):
            if uses_first_key(token):
                continue
            try:
                fresh = encrypt(decrypt(token))
            except Undecryptable:
                unreadable.append(f"{model._meta.label_lower} {key} {column}")
                continue
            with transaction.atomic():
                same = model._base_manager.filter(pk=key, **{column: token})
                rewritten += same.update(**{column: fresh})
    return rewritten, unreadable


def unreadable_count() -> int:
    """Return how many stored values open with none of the keys."""
    count = 0
    for model, column in encrypted_columns():
        for _, token in _values(model, column):
            try:
                decrypt(token)
            except Undecryptable:
                count += 1
    return count


def _values(model: type[models.Model], column: str) -> list[tuple[Any, str]]:
    rows = model._base_manager.exclude(**{column: ""}).order_by("pk")
    return list(rows.values_list("pk", column))


@lru_cache(maxsize=16)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS is empty: secrets can be neither kept nor read.")
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    raw = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(raw)
