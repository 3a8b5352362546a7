"""What `manage.py up` prints when it is ready: the address, and the way in while nobody has one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from core import setuplinks

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104  # to print, not to bind


def welcome(host: str, port: int, roles: Sequence[str], *, now: datetime) -> str:
    """Return the text for the terminal; while there is no administrator it carries a one-time set-up link."""
    address = settings.PUBLIC_URL or f"http://{EVERYWHERE.get(host, host)}:{port}"
    lines = [
        "",
        f"Agent Factory {settings.VERSION} runs at {address}",
        f"  administration  {address}/admin/",
        f"  data            {settings.DATA_DIR}",
        f"  running here    {', '.join(roles)}",
    ]
    if setuplinks.is_needed():
        lines += [
            "",
            "There is no administrator yet. Choose your password here (the link works once, for 24 hours):",
            f"  {address}{setuplinks.create_setup_link(now)}",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops it."])
