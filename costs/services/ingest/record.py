"""The one way into the ledger: a batch is judged outside the transaction and written in one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from core.errors import FieldError
from costs import pricebook
from costs.choices import RejectKind
from costs.inputs import CostItem, Rejected, Sender, Verdict
from costs.services import currencies, entities, partitions
from costs.services.budgets.booking import add_hard_spend_of
from costs.services.entities import Name
from costs.services.fx import rates_for
from costs.services.ingest import postgresql, sqlite
from costs.services.ingest.draft import Draft, Stored
from costs.services.ingest.drafting import Drafting, UnfitError
from costs.services.ingest.unpriced import note_unpriced
from costs.services.rejects import Reject, keep_rejects

_REFUSED = FieldError("", "batch_refused", "nothing was recorded because another item of the batch was refused")


class _RefusedError(Exception):
    """Undoes the transaction of an all-or-nothing batch."""


def record_costs(
    items: Sequence[CostItem | Rejected], *, sender: Sender, now: datetime, all_or_nothing: bool = False
) -> list[Verdict]:
    """Record a batch and return one verdict per item, in order; see `record_batch`."""
    return record_batch(items, sender=sender, now=now, all_or_nothing=all_or_nothing).verdicts()


def record_batch(
    items: Sequence[CostItem | Rejected], *, sender: Sender, now: datetime, all_or_nothing: bool = False
) -> Batch:
    """Record a batch in one transaction; "recorded" means committed.

    An item that makes no sense or reuses a key with other content is kept in the reject queue and does not lose the
    others, unless `all_or_nothing`: then one such item leaves nothing behind, not even a reject. A key that came
    before with the same content is a duplicate and answers with what was recorded then. Budgets have counted the
    events when this returns, as far as they are enforced.
    """
    batch = Batch(items, sender)
    keys = None if all_or_nothing else _keys_at_hand(batch, now)
    if keys is not None:
        _write_at_once(batch, keys, now)
        return batch
    batch.judge(now)
    if not (all_or_nothing and batch.refused):
        try:
            _write(batch, now=now, keep=not all_or_nothing)
        except _RefusedError:
            pass
        else:
            return batch
    batch.refuse()
    return batch


def record_cost(item: CostItem, *, sender: Sender, now: datetime) -> Verdict:
    """Record one cost. An item that makes no sense leaves nothing behind; a conflict is kept for review."""
    batch = Batch([item], sender)
    batch.judge(now)
    if not batch.refused:
        _write(batch, now=now, keep=True)
    return batch.verdicts()[0]


class Batch:
    """The items of one call, what they have become, and their verdicts."""

    def __init__(self, items: Sequence[CostItem | Rejected], sender: Sender) -> None:
        self.items = items
        self.sender = sender
        self.drafts: list[Draft] = []
        # Items whose key came earlier in this batch: judged by what is stored under the key in the end.
        self.repeats: list[Draft] = []
        # Items in another currency than the organisation's, as long as they wait for an exchange rate.
        self.foreign: list[Draft] = []
        self.rejects: list[Reject] = []
        # The written drafts, in order, when every item was recorded: then nobody needs a verdict for each.
        self.recorded: list[Draft] | None = None
        self._verdicts: list[Verdict | None] = [None] * len(items)

    @property
    def refused(self) -> bool:
        """Whether any item was rejected or conflicts."""
        return any(verdict is not None and verdict.status in {"rejected", "conflict"} for verdict in self._verdicts)

    def judge(self, now: datetime) -> None:
        """Turn every item into a draft or a rejection."""
        deque(self.drafted(now), maxlen=0)

    def drafted(self, now: datetime) -> Iterator[Draft]:
        """Turn every item into a draft or a rejection; the drafts that need no exchange rate come as they are made.

        All that the database has to say is asked for here, before the first: it is busy with COPY afterwards.
        """
        return self._drafted(_drafting(self.sender, now).draft)

    def _drafted(self, draft: Callable[[CostItem, int], Draft]) -> Iterator[Draft]:
        seen: set[str] = set()
        for position, item in enumerate(self.items):
            if isinstance(item, Rejected):
                self._reject(position, item.errors, item.payload)
                continue
            try:
                made = draft(item, position)
            except UnfitError as error:
                self._reject(position, error.errors, item)
                continue
            if made.digest:
                if made.digest in seen:
                    self.repeats.append(made)
                    continue
                seen.add(made.digest)
            self.drafts.append(made)
            if made.base_amount is None and made.amount is not None:
                self.foreign.append(made)
            else:
                yield made

    def settle(self, written: Sequence[Draft], known: Mapping[str, Stored]) -> None:
        """Give everything that was not rejected its verdict, once it is known what each key stands for."""
        if len(written) == len(self.items):
            self.recorded = list(written)
            return
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
        """Return the verdict of every item, in order."""
        if self.recorded is not None:
            return [draft.recorded() for draft in self.recorded]
        return [verdict for verdict in self._verdicts if verdict is not None]

    def refuse(self) -> None:
        """Make it a batch of which nothing was recorded."""
        bystander = Verdict("rejected", errors=(_REFUSED,))
        bad = {"rejected", "conflict"}
        self.recorded = None
        self._verdicts = [
            verdict if verdict is not None and verdict.status in bad else bystander for verdict in self._verdicts
        ]

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


def _drafting(sender: Sender, now: datetime) -> Drafting:
    return Drafting(
        source=sender.source,
        now=now,
        base=settings.BASE_CURRENCY,
        currencies=currencies.known_codes(),
        table=pricebook.current_table(),
        max_age=timedelta(days=settings.COSTS_MAX_AGE_DAYS),
    )


def _keys_at_hand(batch: Batch, now: datetime) -> Mapping[Name, int] | None:
    """Return the keys of the entities when a batch can be written while it is drafted, as nothing has to be made first.

    That is on PostgreSQL, where all entities and months are known, and the sender has not repeated keys lately.
    """
    items = batch.items
    if connection.vendor != "postgresql" or len(items) < 2 or postgresql.takes_care(batch.sender.source):
        return None
    try:
        names = {(item.entity_type, item.entity_id) for item in items}  # type: ignore[union-attr]  # see below
        instants = [item.occurred_at or now for item in items]  # type: ignore[union-attr]
        prepared = partitions.are_prepared(min(instants), max(instants))
    except (AttributeError, TypeError, OverflowError):
        # A rejected item, an instant without an offset, or one at the end of all calendars.
        return None
    return entities.known(names) if prepared else None


def _write_at_once(batch: Batch, keys: Mapping[Name, int], now: datetime) -> None:
    """Draft and write a batch in one go; when one of its keys was taken, once more with what is drafted."""
    drafts = batch.drafted(now)
    try:
        with transaction.atomic():
            postgresql.copy_events(drafts, keys=keys, source=batch.sender.source, now=now)
            if batch.foreign:
                _convert(batch.foreign)
                postgresql.copy_events(batch.foreign, keys=keys, source=batch.sender.source, now=now)
            postgresql.copy_keys(batch.drafts, source=batch.sender.source)
            _conclude(batch, {}, now=now, keep=True)
    except postgresql.KeyTakenError:
        with transaction.atomic():
            known = postgresql.write_carefully(batch.drafts, keys=keys, source=batch.sender.source, now=now)
            _conclude(batch, known, now=now, keep=True)


def _write(batch: Batch, *, now: datetime, keep: bool) -> None:
    """Write the drafts of a batch, with everything that counts them, in one transaction."""
    drafts = batch.drafts
    if not (drafts or batch.rejects):
        return
    _convert(batch.foreign)
    keys = entities.resolve({draft.place.entity for draft in drafts}, now=now)
    if drafts and connection.vendor == "postgresql" and not connection.in_atomic_block:
        partitions.prepare_months({f"{draft.occurred_at:%Y-%m}" for draft in drafts})
    try:
        _commit(batch, keys, now=now, keep=keep)
    except postgresql.KeyTakenError:
        # Nothing has come of it, and the second time each key is asked for.
        _commit(batch, keys, now=now, keep=keep)


def _commit(batch: Batch, keys: Mapping[Name, int], *, now: datetime, keep: bool) -> None:
    with transaction.atomic():
        known = _write_drafts(batch, keys, now) if batch.drafts else {}
        _conclude(batch, known, now=now, keep=keep)


def _write_drafts(batch: Batch, keys: Mapping[Name, int], now: datetime) -> Mapping[str, Stored]:
    drafts, source = batch.drafts, batch.sender.source
    if connection.vendor != "postgresql":
        return sqlite.write(drafts, keys=keys, source=source, now=now)
    if len(drafts) == 1 or postgresql.takes_care(source):
        return postgresql.write_carefully(drafts, keys=keys, source=source, now=now)
    postgresql.copy_events(drafts, keys=keys, source=source, now=now)
    postgresql.copy_keys(drafts, source=source)
    return {}


def _conclude(batch: Batch, known: Mapping[str, Stored], *, now: datetime, keep: bool) -> None:
    """Give the verdicts and do, in the transaction that wrote the drafts, what follows from them."""
    source = batch.sender.source
    written = [draft for draft in batch.drafts if draft.digest not in known] if known else batch.drafts
    batch.settle(written, known)
    if not keep and batch.refused:
        raise _RefusedError
    if written:
        note_unpriced(written, now=now)
        # Looked up now, by query: a budget that became hard meanwhile waited for the rows above, or is found here.
        priced = [draft for draft in written if draft.amount is not None]
        add_hard_spend_of(
            {draft.entity for draft in priced},
            lambda: [draft.spend() for draft in priced],
            reserved=any(draft.item.reservation_id is not None for draft in priced),
            source=source,
            now=now,
        )
    if batch.rejects:
        keep_rejects(batch.rejects, source=source, now=now)


def _convert(foreign: Sequence[Draft]) -> None:
    """Freeze the base amount of what is in another currency, at the rate of the day it occurred on."""
    if not foreign:
        return
    base = settings.BASE_CURRENCY
    days = [draft.occurred_at.date() for draft in foreign]
    rates = rates_for({draft.currency for draft in foreign}, base, min(days), max(days))
    for draft, day in zip(foreign, days, strict=True):
        quote = rates.quote(draft.currency, base, day)
        if quote is not None and draft.amount is not None:
            draft.base_amount, draft.fx_rate = quote.convert(draft.amount), quote.rate_id
