"""The one way into the ledger: a batch is judged outside the transaction and written in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from core.errors import FieldError
from costs import pricebook
from costs.choices import RejectKind
from costs.inputs import CostItem, Rejected, Sender, Verdict
from costs.services import currencies, entities, partitions
from costs.services.budgets.booking import add_hard_spend
from costs.services.fx import rates_for
from costs.services.ingest import postgresql, sqlite
from costs.services.ingest.draft import Draft, Stored, texts
from costs.services.ingest.drafting import Drafting, UnfitError
from costs.services.ingest.unpriced import note_unpriced
from costs.services.rejects import Reject, keep_rejects

_REFUSED = FieldError("", "batch_refused", "nothing was recorded because another item of the batch was refused")


class _RefusedError(Exception):
    """Undoes the transaction of an all-or-nothing batch."""


def record_costs(
    items: Sequence[CostItem | Rejected], *, sender: Sender, now: datetime, all_or_nothing: bool = False
) -> list[Verdict]:
    """Record a batch in one transaction and return one verdict per item, in order; "recorded" means committed.

    An item that makes no sense or reuses a key with other content is kept in the reject queue and does not lose the
    others, unless `all_or_nothing`: then one such item leaves nothing behind, not even a reject. A key that came
    before with the same content is a duplicate and answers with what was recorded then. Budgets have counted the
    events when this returns, as far as they are enforced.
    """
    batch = _Batch(items, sender)
    batch.judge(now)
    if all_or_nothing and batch.refused:
        return batch.verdicts_of_refusal()
    try:
        _write(batch, now=now, keep=not all_or_nothing)
    except _RefusedError:
        return batch.verdicts_of_refusal()
    return batch.verdicts()


def record_cost(item: CostItem, *, sender: Sender, now: datetime) -> Verdict:
    """Record one cost. An item that makes no sense leaves nothing behind; a conflict is kept for review."""
    batch = _Batch([item], sender)
    batch.judge(now)
    if not batch.refused:
        _write(batch, now=now, keep=True)
    return batch.verdicts()[0]


class _Batch:
    """The items of one call, what they have become, and their verdicts."""

    def __init__(self, items: Sequence[CostItem | Rejected], sender: Sender) -> None:
        self.items = items
        self.sender = sender
        self.drafts: list[Draft] = []
        # Items whose key came earlier in this batch: judged by what is stored under the key in the end.
        self.repeats: list[Draft] = []
        self.rejects: list[Reject] = []
        self._verdicts: list[Verdict | None] = [None] * len(items)

    @property
    def refused(self) -> bool:
        """Whether any item was rejected or conflicts."""
        return any(verdict is not None and verdict.status in {"rejected", "conflict"} for verdict in self._verdicts)

    def judge(self, now: datetime) -> None:
        """Turn every item into a draft or a rejection."""
        drafting = Drafting(
            source=self.sender.source,
            now=now,
            base=settings.BASE_CURRENCY,
            currencies=currencies.known_codes(),
            table=pricebook.current_table(),
            max_age=timedelta(days=settings.COSTS_MAX_AGE_DAYS),
        )
        seen: set[str] = set()
        for position, item in enumerate(self.items):
            if isinstance(item, Rejected):
                self._reject(position, item.errors, item.payload)
                continue
            try:
                draft = drafting.draft(item, position)
            except UnfitError as error:
                self._reject(position, error.errors, item)
                continue
            if draft.digest in seen:
                self.repeats.append(draft)
                continue
            if draft.digest:
                seen.add(draft.digest)
            self.drafts.append(draft)

    def settle(self, written: Sequence[Draft], known: Mapping[str, Stored]) -> None:
        """Give everything that was not rejected its verdict, once it is known what each key stands for."""
        for draft in written:
            self._verdicts[draft.position] = draft.recorded()
        for draft in self.drafts:
            if draft.digest in known:
                self._repeat(draft, known[draft.digest])
        if self.repeats:
            new = {draft.digest: Stored.of(draft) for draft in written if draft.digest}
            for draft in self.repeats:
                self._repeat(draft, new.get(draft.digest) or known[draft.digest])

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of every item."""
        return [verdict for verdict in self._verdicts if verdict is not None]

    def verdicts_of_refusal(self) -> list[Verdict]:
        """Return the verdicts of a batch of which nothing was recorded."""
        bystander = Verdict("rejected", errors=(_REFUSED,))
        bad = {"rejected", "conflict"}
        return [verdict if verdict is not None and verdict.status in bad else bystander for verdict in self._verdicts]

    def _repeat(self, draft: Draft, stored: Stored) -> None:
        if stored.content == draft.content:
            verdict = Verdict("duplicate", stored.event, stored.amount, stored.currency, stored.price_status)
        else:
            error = FieldError("/idempotency_key", "conflict", "this key was used before with other content")
            verdict = Verdict("conflict", stored.event, errors=(error,))
            self.rejects.append(Reject(RejectKind.CONFLICT, self.items[draft.position], verdict.errors))
        self._verdicts[draft.position] = verdict

    def _reject(self, position: int, errors: tuple[FieldError, ...], payload: object) -> None:
        self._verdicts[position] = Verdict("rejected", errors=errors)
        self.rejects.append(Reject(RejectKind.INVALID, payload, errors))


def _write(batch: _Batch, *, now: datetime, keep: bool) -> None:
    """Write the drafts of a batch, with everything that counts them, in one transaction."""
    drafts = batch.drafts
    if drafts:
        _convert(drafts)
        names = {(draft.place.entity_type, draft.place.entity_id) for draft in drafts}
        keys = entities.resolve(names, now=now)
        for draft in drafts:
            draft.entity = keys[draft.place.entity_type, draft.place.entity_id]
        for draft, text in zip(drafts, texts([draft.occurred_at for draft in drafts]), strict=True):
            draft.at_text = text
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            partitions.prepare_months({draft.at_text[:7] for draft in drafts})
    elif not batch.rejects:
        return
    try:
        _commit(batch, now=now, keep=keep)
    except postgresql.KeyTakenError:
        # Nothing has come of it, and the second time each key is asked for.
        _commit(batch, now=now, keep=keep, careful=True)


def _commit(batch: _Batch, *, now: datetime, keep: bool, careful: bool = False) -> None:
    with transaction.atomic():
        if batch.drafts:
            _write_drafts(batch, now, careful)
        if not keep and batch.refused:
            raise _RefusedError
        if batch.rejects:
            keep_rejects(batch.rejects, source=batch.sender.source, now=now)


def _write_drafts(batch: _Batch, now: datetime, careful: bool) -> None:
    source = batch.sender.source
    if connection.vendor == "postgresql":
        known = postgresql.write(batch.drafts, source=source, now=now, careful=careful)
    else:
        known = sqlite.write(batch.drafts, source=source, now=now)
    written = [draft for draft in batch.drafts if draft.digest not in known] if known else batch.drafts
    batch.settle(written, known)
    note_unpriced(written, now=now)
    # Looked up now, by query: a budget that became hard meanwhile waited for the rows above, or is found here.
    add_hard_spend([draft.spend() for draft in written if draft.amount is not None], source=source, now=now)


def _convert(drafts: Sequence[Draft]) -> None:
    """Freeze the base amount of what is in another currency, at the rate of the day it occurred on."""
    foreign = [draft for draft in drafts if draft.unconverted]
    if not foreign:
        return
    base = settings.BASE_CURRENCY
    days = [draft.occurred_at.date() for draft in foreign]
    rates = rates_for({draft.currency for draft in foreign}, base, min(days), max(days))
    for draft, day in zip(foreign, days, strict=True):
        quote = rates.quote(draft.currency, base, day)
        if quote is not None and draft.amount is not None:
            draft.base_amount, draft.fx_rate = quote.convert(draft.amount), quote.rate_id
