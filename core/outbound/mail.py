"""Mail through a server that a person named: connected to like everything else that leaves the platform."""

from __future__ import annotations

import smtplib
import socket
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from core.outbound.connections import Deadline, Reach, open_socket

MAIL_PORTS = (25, 465, 587, 2525)


class _Guarded:
    """The part of an SMTP connection that opens its socket, to a checked address."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        reach = Reach.configured().with_ports(MAIL_PORTS)
        return open_socket(host, port, reach=reach, deadline=Deadline(timeout))


class _GuardedSmtp(_Guarded, smtplib.SMTP):
    pass


class _GuardedSmtpOverTls(smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = _Guarded()._get_socket(host, port, timeout)
        return self.context.wrap_socket(plain, server_hostname=host)


class GuardedEmailBackend(EmailBackend):
    """Django's SMTP backend over guarded connections. Raises Unreachable or Refused before a word was exchanged."""

    @property
    def connection_class(self) -> Any:
        return _GuardedSmtpOverTls if self.use_ssl else _GuardedSmtp
