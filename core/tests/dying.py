"""A process killed while it acts: run as `python -m core.tests.dying approval|automation ID die|live [SECONDS]`.

Its act leaves a Pulse behind and then, told to die, ends its own process as the kernel would.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from datetime import timedelta
from typing import Any


def main(what: str, identifier: str, mood: str, seconds: str = "0") -> None:
    """Carry one thing out, or die in its middle."""
    import django

    django.setup()
    from django.utils import timezone

    from core import approvals
    from core.ports.approvals import approval_kinds
    from core.ports.automation import AutomationAction, automation_actions
    from core.tests.approving import Acts

    def act(*arguments: Any) -> str:
        from core.models import Pulse

        Pulse.objects.create(name=f"act {uuid.uuid4()}", at=timezone.now())
        if mood == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    later = timezone.now() + timedelta(seconds=int(seconds))
    if what == "approval":
        approval_kinds._items["test.paint"] = Acts().kind(execute=act)
        approvals.carry_out(uuid.UUID(identifier), clock=lambda: later)
        return
    from django.utils.module_loading import import_string

    automation_actions._items["test.ring"] = AutomationAction("test.ring", "Ring", "", (), "core.view_job", act)
    import_string("alerts.services.automation.run")(later)


if __name__ == "__main__":
    main(*sys.argv[1:])
