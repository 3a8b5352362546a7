"""E-mail: text and HTML, one thread per group or incident, by the platform's mail server or one that a person named."""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import Q
from django.template.loader import render_to_string

from alerts.channels import texts
from alerts.channels.protocol import Delivery, Outcome, Setting, Target
from core.outbound import Refused, Unreachable
from core.outbound.mail import GuardedEmailBackend

SUBJECT = 200
TIMEOUT_SECONDS = 15
SHOWN_ALERTS = 50
SECURITIES = (("starttls", "STARTTLS"), ("tls", "TLS from the first byte"), ("none", "none"))


class Email:
    """Sends one mail to all recipients of a channel, or to one person."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("addresses", "Addresses", "Separated by commas.", kind="addresses"),
        Setting(
            "role",
            "Role",
            "Everybody active in this role who has an address: operations, for instance. Superusers when nobody is.",
        ),
        Setting("server", "Mail server", "Empty: the platform's own (EMAIL_URL)."),
        Setting("port", "Port", "Empty: 587, or 465 with TLS.", kind="number"),
        Setting("security", "Encryption", kind="choice", choices=SECURITIES),
        Setting("sender", "Sender", "Empty: DEFAULT_FROM_EMAIL."),
        Setting("username", "User name", "For the mail server above."),
        Setting("password", "Password", secret=True),
    )

    def send(self, target: Target, delivery: Delivery) -> Outcome:
        """Try once. A refusal for good (5xx) is final, every other failure is tried again."""
        to = [str(address) for address in target.config.get("addresses") or ()]
        if not to:
            return Outcome("final", "there is nobody to send to: no address, and nobody in the role has one")
        try:
            composed(target, delivery, to).send(fail_silently=False)
        except (smtplib.SMTPException, OSError, Refused, Unreachable) as error:
            return _failed(target, error)
        return Outcome("delivered", answer=f"accepted for {len(to)} recipient(s)")


def with_people(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the addresses of the people in the role among the others, each once."""
    found = [str(address) for address in config.get("addresses") or ()]
    role = str(config.get("role") or "")
    if role:
        found += _addresses_of(Q(groups__name=role)) or _addresses_of(Q(is_superuser=True))
    return {**config, "addresses": list(dict.fromkeys(found))}


def composed(target: Target, delivery: Delivery, to: list[str]) -> EmailMultiAlternatives:
    """Return the mail: always the same Message-ID for the same message, in the thread of its group."""
    message, domain = delivery.message, _domain()
    thread = f"<{delivery.thread}.thread@{domain}>".replace(":", ".") if delivery.thread else ""
    headers = {
        "Message-ID": f"<{delivery.id}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Notification-Id": delivery.id,
        **({"References": thread, "In-Reply-To": thread} if thread else {}),
    }
    mail = EmailMultiAlternatives(
        subject=texts.headline(message, SUBJECT),
        body="\n".join(texts.lines(message)),
        from_email=str(target.config.get("sender") or settings.DEFAULT_FROM_EMAIL),
        to=to,
        headers=headers,
        connection=_connection(target),
    )
    mail.attach_alternative(render_to_string("alerts/email.html", _context(delivery)), "text/html")
    return mail


def _context(delivery: Delivery) -> dict[str, Any]:
    message = delivery.message
    shown = message.alerts[:SHOWN_ALERTS]
    return {
        "headline": texts.headline(message, 300),
        "message": message,
        "introduction": texts.introduction(message),
        "group": texts.labels_text(message.group_labels),
        "alerts": [
            (texts.alert_line(alert), texts.labels_text(alert.labels, without=message.group_labels)) for alert in shown
        ],
        "more": texts.more_text(message, len(shown)),
        "links": texts.links(message),
        "organisation": settings.ORGANISATION_NAME,
    }


def _connection(target: Target) -> Any:
    server = str(target.config.get("server") or "")
    if not server:
        return get_connection(timeout=TIMEOUT_SECONDS)
    security = target.config.get("security") or "starttls"
    # Somebody entered this host: it is reached as a webhook is.
    return GuardedEmailBackend(
        host=server,
        port=int(target.config.get("port") or (465 if security == "tls" else 587)),
        username=str(target.config.get("username") or ""),
        password=str(target.secrets.get("password") or ""),
        use_tls=security == "starttls",
        use_ssl=security == "tls",
        timeout=TIMEOUT_SECONDS,
    )


def _failed(target: Target, error: Exception) -> Outcome:
    code = _code(error)
    text = target.scrubbed(f"{type(error).__name__}: {error}")[:500]
    final = isinstance(error, Refused) or (code is not None and 500 <= code < 600)
    return Outcome("final" if final else "retry", text, status_code=code)


def _code(error: Exception) -> int | None:
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # One that may be accepted later is worth trying again for.
        return min(code for code, _ in error.recipients.values())
    return None


def _addresses_of(people: Q) -> list[str]:
    rows = get_user_model()._default_manager.filter(people, is_active=True).exclude(email="")
    addresses: Iterable[str] = rows.order_by("email").values_list("email", flat=True).distinct()
    return list(addresses)


def _domain() -> str:
    host = urlsplit(settings.PUBLIC_URL).hostname or parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return host or "localhost"
