"""Idempotency keys: the same request twice is one piece of work with one answer."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from core import tasks
from core.apikeys import NewKey, rotate_key
from core.idempotency import forget_old_keys
from core.models import IdempotencyRecord, Job
from core.tests.api import bearer, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core.tests.api")]


def _post(key: NewKey, body: bytes = b'{"title": "a", "amount": 0.5}', *, idempotency_key: str | None = "k-1") -> Any:
    headers = bearer(key) | ({"Idempotency-Key": idempotency_key} if idempotency_key is not None else {})
    return Client().post("/api/v1/things", body, "application/json", headers=headers)


def test_post__repeated__answers_the_same_and_records_once() -> None:
    key = new_key()

    first, second = _post(key), _post(key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second["Location"] == first["Location"]
    assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
    assert Job.objects.count() == 1


def test_post__other_layout_of_the_same_content__is_a_repetition() -> None:
    key = new_key()

    first, second = _post(key), _post(key, b'{\n "amount": 0.5,\n "title": "a"}')

    assert second.content == first.content
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "body", [b'{"title": "b", "amount": 0.5}', b'{"title": "a"}', b'{"title": "a", "amount": 0.51}']
)
def test_post__other_content_under_the_same_key__is_409_and_records_nothing(body: bytes) -> None:
    key = new_key()
    _post(key)

    response = _post(key, body)

    assert response.status_code == 409
    assert response.json()["type"] == "urn:agent-factory:problem:idempotency_key_reused"
    assert Job.objects.count() == 1


def test_post__other_client__has_its_own_keys() -> None:
    _post(new_key())
    _post(new_key())

    assert Job.objects.count() == 2


def test_post__rotated_key__is_the_same_client() -> None:
    old = new_key()
    first = _post(old)

    second = _post(rotate_key(old.key, now=datetime.now(UTC)))

    assert second.content == first.content
    assert Job.objects.count() == 1


def test_post__without_key__records_each_time() -> None:
    key = new_key()

    _post(key, idempotency_key=None)
    _post(key, idempotency_key=None)

    assert Job.objects.count() == 2
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize("title", ["refused", "turned away"])
@pytest.mark.parametrize("idempotency_key", ["k-1", None])
def test_post__refused__leaves_nothing_and_may_be_tried_again(title: str, idempotency_key: str | None) -> None:
    key = new_key()

    response = _post(key, b'{"title": "%s"}' % title.encode(), idempotency_key=idempotency_key)

    assert response.status_code == (409 if title == "refused" else 422)
    assert not Job.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert _post(key).status_code == 201


@pytest.mark.parametrize("idempotency_key", ["", "x" * 201, "a\x7fb", "a\tb"])
def test_post__key_that_is_none__is_422_and_records_nothing(idempotency_key: str) -> None:
    response = _post(new_key(), idempotency_key=idempotency_key)

    assert response.status_code == 422
    assert not Job.objects.exists()


def test_forget_old_keys__older_than_thirty_days__are_gone() -> None:
    key = new_key()
    _post(key)
    _post(key, idempotency_key="k-2")
    now = datetime.now(UTC)
    IdempotencyRecord.objects.filter(key="k-1").update(created_at=now - timedelta(days=30, seconds=1))

    tasks.forget_old_keys()
    assert forget_old_keys(now) == 0
    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["k-2"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same", [True, False])
def test_post__many_at_once__record_one(same: bool) -> None:
    key, answers, together = new_key(), [], threading.Barrier(6)

    def send(number: int) -> None:
        together.wait(20)
        try:
            answers.append(_post(key, b'{"title": "t%d"}' % (0 if same else number)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Job.objects.count() == 1
    assert sorted(answer.status_code for answer in answers) == ([201] * 6 if same else [201] + [409] * 5)
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert sum("Idempotent-Replayed" in answer for answer in answers) == (5 if same else 0)
