"""What a person or a program told about a channel, checked before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from alerts.channels import TYPES
from alerts.channels.apprise import HOW_TO_INSTALL, installed
from alerts.channels.protocol import Setting
from alerts.channels.webhook import key_of
from alerts.choices import ChannelKind
from core.errors import FieldError, Invalid
from core.outbound import Refused, parse

MOST_ADDRESSES = 50
LONGEST = 2000


def check(kind: str, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
    """Raise Invalid with everything that is wrong; `secrets` are those that the channel will have."""
    mistakes = [*_unknown(kind, config, secrets), *_values(kind, config, secrets), *_whole(kind, config)]
    if mistakes:
        raise Invalid("the channel cannot work like this", errors=mistakes)


def settings_of(kind: str) -> tuple[Setting, ...]:
    """Return what a channel of this kind is told; raises Invalid for an unknown kind."""
    if kind not in TYPES:
        detail = f"there is no kind of channel called {kind[:40]}"
        raise Invalid(detail, errors=[FieldError("/kind", "unknown", detail)])
    return TYPES[kind].settings


def _unknown(kind: str, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Iterator[FieldError]:
    for place, given, secret in (("config", config, False), ("secrets", secrets, True)):
        known = {setting.name for setting in settings_of(kind) if setting.secret == secret}
        for name in sorted(set(given) - known):
            options = ", ".join(sorted(known)) or "none"
            yield FieldError(f"/{place}/{name}", "unknown", f"{kind} has no such setting (known: {options})")


def _values(kind: str, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Iterator[FieldError]:
    for setting in settings_of(kind):
        place = "secrets" if setting.secret else "config"
        value = (secrets if setting.secret else config).get(setting.name)
        mistake = _mistake(kind, setting, value)
        if mistake:
            yield FieldError(f"/{place}/{setting.name}", "invalid", mistake)


def _mistake(kind: str, setting: Setting, value: Any) -> str:
    if value in (None, "", []):
        return f"{setting.label} is needed" if setting.required else ""
    if (kind, setting.name) in _OF_ONE_KIND:
        return _OF_ONE_KIND[kind, setting.name](value)
    if setting.kind == "choice":
        return "" if value in dict(setting.choices) else f"one of {', '.join(dict(setting.choices))}"
    if setting.kind in _OF_A_SORT:
        return _OF_A_SORT[setting.kind](value)
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        return f"text of at most {LONGEST} characters"
    return "" if value.isprintable() else "text in one line, without control characters"


def _url(value: Any) -> str:
    if _text(value):
        return _text(value)
    try:
        parse(value)
    except Refused as error:
        return str(error)
    return ""


def _number(value: Any) -> str:
    return "" if isinstance(value, int) and 1 <= value <= 65535 else "a port between 1 and 65535"


def _addresses(value: Any) -> str:
    if not isinstance(value, list) or len(value) > MOST_ADDRESSES:
        return f"a list of at most {MOST_ADDRESSES} addresses"
    wrong = [str(address)[:100] for address in value if not _is_address(address)]
    return f"not an e-mail address: {', '.join(wrong)}" if wrong else ""


def _is_address(value: Any) -> bool:
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def _sender(value: Any) -> str:
    return "" if _is_address(value) else "an e-mail address"


def _role(value: Any) -> str:
    return "" if Group.objects.filter(name=value).exists() else "there is no such role"


def _routing_key(value: Any) -> str:
    fits = isinstance(value, str) and len(value) == 32 and value.isascii() and value.isalnum()
    return "" if fits else "32 letters and digits"


def _signing_secrets(value: Any) -> str:
    try:
        for secret in value:
            key_of(str(secret))
    except ValueError as error:
        return str(error)
    return ""


def _whole(kind: str, config: Mapping[str, Any]) -> Iterator[FieldError]:
    if kind == ChannelKind.EMAIL and not config.get("addresses") and not config.get("role"):
        yield FieldError("/config/addresses", "required", "give addresses, a role, or both")
    if kind == ChannelKind.APPRISE and not installed():
        yield FieldError("/kind", "not_installed", HOW_TO_INSTALL)


_OF_A_SORT: dict[str, Callable[[Any], str]] = {"url": _url, "number": _number, "addresses": _addresses}
_OF_ONE_KIND: dict[tuple[str, str], Callable[[Any], str]] = {
    (ChannelKind.EMAIL, "role"): _role,
    (ChannelKind.EMAIL, "sender"): _sender,
    (ChannelKind.PAGERDUTY, "routing_key"): _routing_key,
    (ChannelKind.WEBHOOK, "secrets"): _signing_secrets,
}
