"""A closer in a process of its own: `python -m slas.tests.closer NOW [stuck]`; a stuck one stops in mid-step."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from typing import Any

import django


def _stop(*_: Any, **__: Any) -> None:
    """Be killed after the numbers were written and before anything is committed."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    django.setup()
    from core import audit
    from slas.services.contracts import close_due

    if "stuck" in sys.argv:
        audit.record = _stop
    done = close_due(now=datetime.fromisoformat(sys.argv[1]))
    print(done.final)
