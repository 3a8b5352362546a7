"""The reject queue: each payload once, mended and sent again, or set aside for a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from costs.inputs import CostItem, FieldError, Rejected
from costs.models import CostEvent, IngestReject
from costs.services.ingest import record_costs
from costs.services.rejects import LONGEST_PAYLOAD, ignore_reject, retry_reject
from costs.tests.ledger_case import SENDER, item

pytestmark = pytest.mark.django_db


def test_rejects__same_payload_again__is_one_row_with_a_count(now: datetime) -> None:
    later = now + timedelta(hours=1)

    record_costs([_bad(), _bad(), item(2)], sender=SENDER, now=now)
    record_costs([_bad()], sender=SENDER, now=later)

    kept = IngestReject.objects.get()
    assert (kept.event_count, kept.first_seen_at, kept.last_seen_at, kept.kind) == (3, now, later, "invalid")


def test_retry__mended_payload__is_recorded_and_resolved(now: datetime) -> None:
    record_costs([_bad()], sender=SENDER, now=now)
    reject = IngestReject.objects.get()

    verdict = retry_reject(reject, now=now, payload={**reject.payload, "amount": "0.5"})

    assert (verdict.status, verdict.amount) == ("recorded", Decimal("0.5"))
    assert IngestReject.objects.get().status == "resolved"
    assert CostEvent.objects.get().source == SENDER.source
    assert AuditEntry.objects.filter(action="ingest_reject.resolved").count() == 1


def test_retry__still_wrong__stays_open_with_the_new_reasons(now: datetime) -> None:
    record_costs([_bad()], sender=SENDER, now=now)
    reject = IngestReject.objects.get()

    verdict = retry_reject(reject, now=now, payload={**reject.payload, "amount": "0.5", "currency": "XYZ"})

    assert verdict.status == "rejected"
    reject.refresh_from_db()
    assert (reject.status, reject.reasons[0]["code"]) == ("open", "unknown_currency")
    assert not CostEvent.objects.exists()


def test_retry__what_was_wrong_with_the_world_only__is_recorded_as_it_was(now: datetime) -> None:
    # given an event from a clock that was ahead
    record_costs([item(1, occurred_at=now + timedelta(minutes=10))], sender=SENDER, now=now)

    verdict = retry_reject(IngestReject.objects.get(), now=now + timedelta(minutes=6))

    assert verdict.status == "recorded"
    assert CostEvent.objects.get().occurred_at == now + timedelta(minutes=10)


def test_retry__payload_that_is_no_object__names_that(now: datetime) -> None:
    record_costs([Rejected(payload="nonsense", errors=(FieldError("", "x", "y"),))], sender=SENDER, now=now)

    assert retry_reject(IngestReject.objects.get(), now=now).errors[0].code == "wrong_type"


def test_retry__closed_already__is_a_conflict(now: datetime) -> None:
    record_costs([_bad()], sender=SENDER, now=now)
    reject = IngestReject.objects.get()
    ignore_reject(reject, now=now, reason="test data")

    with pytest.raises(Conflict):
        retry_reject(reject, now=now, payload={**reject.payload, "amount": "0.5"})
    assert not CostEvent.objects.exists()


def test_ignore__without_a_reason__is_refused(now: datetime) -> None:
    record_costs([_bad()], sender=SENDER, now=now)

    with pytest.raises(Invalid):
        ignore_reject(IngestReject.objects.get(), now=now, reason=" ")
    assert IngestReject.objects.get().status == "open"


def test_rejects__ignored_payload_again__stays_ignored(now: datetime) -> None:
    record_costs([_bad()], sender=SENDER, now=now)
    ignore_reject(IngestReject.objects.get(), now=now, reason="a known bug of theirs")

    record_costs([_bad()], sender=SENDER, now=now)

    assert IngestReject.objects.values_list("status", "event_count").get() == ("ignored", 2)


def test_rejects__huge_payload__is_kept_by_its_beginning(now: datetime) -> None:
    huge = Rejected(payload={"x": "y" * 2 * LONGEST_PAYLOAD}, errors=(FieldError("/x", "x", "y"),))

    record_costs([huge], sender=SENDER, now=now)

    payload = IngestReject.objects.get().payload
    assert len(payload["beginning"]) == 1000
    assert payload["length"] > LONGEST_PAYLOAD


def _bad() -> CostItem:
    return item(1, amount=Decimal("-1"))
