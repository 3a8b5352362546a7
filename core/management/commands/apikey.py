"""`manage.py apikey`: make, list, rotate and revoke keys of the API from a terminal or a script."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core import apikeys
from core.context import Actor, Context, acting
from core.errors import Refusal
from core.models import ApiKey
from core.ports.scopes import scopes


class Command(BaseCommand):
    """Keys for machines. A new key is the only thing on standard output; everything else goes to standard error."""

    help = "Make, list, rotate and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command for each act."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="make a key and print it, once")
        create.add_argument("name")
        create.add_argument("--scope", action="append", required=True, metavar="SCOPE", help=_known_scopes())
        create.add_argument("--entity", metavar="TYPE:ID", help="the only entity the key may act for")
        create.add_argument("--expires-days", type=int, metavar="N", help="days until it stops working (never)")
        acts.add_parser("list", help="list the keys")
        rotate = acts.add_parser("rotate", help="print a new key for the same client; the old one works a while longer")
        rotate.add_argument("prefix", help="the key's first part, as `apikey list` shows it")
        rotate.add_argument("--overlap-hours", type=int, default=24, metavar="N")
        revoke = acts.add_parser("revoke", help="close a key at once")
        revoke.add_argument("prefix", help="the key's first part, as `apikey list` shows it")
        revoke.add_argument("--reason", required=True)

    def handle(self, **options: Any) -> None:
        """Do one act as the command line; what is refused ends with 1 and says why."""
        now = timezone.now()
        with acting(Context(actor=Actor("system", "command", "command line"), channel="command")):
            try:
                getattr(self, f"_{options['act']}")(now, options)
            except Refusal as refusal:
                reasons = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in refusal.errors)
                raise CommandError(f"{refusal.detail}{f' ({reasons})' if reasons else ''}") from refusal

    def _create(self, now: datetime, options: dict[str, Any]) -> None:
        days = options["expires_days"]
        made = apikeys.create_key(
            options["name"],
            scopes=options["scope"],
            entity=_entity(options["entity"]),
            expires_at=now + timedelta(days=days) if days is not None else None,
            now=now,
        )
        self._tell(f"API key {made.key.prefix} of “{made.key.name}”. It is shown this once:")
        self.stdout.write(made.secret)

    def _list(self, now: datetime, options: dict[str, Any]) -> None:
        for key in ApiKey.objects.order_by("name", "created_at", "pk"):
            bound = f"{key.entity_type}:{key.entity_id}" if key.entity_type else "-"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            row = (key.prefix, _state(key, now), key.name, " ".join(key.scopes), bound, used)
            self.stdout.write("\t".join(row))

    def _rotate(self, now: datetime, options: dict[str, Any]) -> None:
        overlap = timedelta(hours=options["overlap_hours"])
        made = apikeys.rotate_key(_key(options["prefix"]), now=now, overlap=overlap)
        self._tell(f"API key {made.key.prefix} follows {options['prefix']}. It is shown this once:")
        self.stdout.write(made.secret)

    def _revoke(self, now: datetime, options: dict[str, Any]) -> None:
        closed = apikeys.revoke_key(_key(options["prefix"]), now=now, reason=options["reason"])
        self._tell(f"API key {options['prefix']} {'is revoked' if closed else 'was revoked before'}.")

    def _tell(self, text: str) -> None:
        self.stderr.write(text, style_func=lambda line: line)


def _known_scopes() -> str:
    return f"what it may do, can be given several times: {', '.join(sorted(scope.name for scope in scopes))}"


def _entity(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    entity_type, _, entity_id = text.partition(":")
    if not entity_type or not entity_id:
        raise CommandError(f"--entity {text} is not of the form TYPE:ID, such as agent:my-agent")
    return entity_type, entity_id


def _key(prefix: str) -> ApiKey:
    key = ApiKey.objects.filter(prefix=prefix).first()
    if key is None:
        raise CommandError(f"there is no API key {prefix}; `manage.py apikey list` shows them all")
    return key


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    if key.suspended_at:
        return "suspended"
    if key.expires_at and key.expires_at <= now:
        return "expired"
    return "rotated" if key.successor_id else "active"
