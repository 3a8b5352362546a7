"""One of several workers that take escalation steps as fast as they can: `python -m alerts.tests.escalation_race`.

Its clock runs faster than the wall's, from an instant that all workers share. The role `die` kills itself in the
middle of the first step it takes, when messages and log are written and nothing is committed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import django

FASTER = 300


def escalate(started: datetime, begun: float, seconds: float) -> int:
    """Take what is due until nothing escalates any more, or the time is over; returns how much was done."""
    from alerts.choices import EscalationStatus
    from alerts.models import EscalationRun
    from alerts.services import escalation

    done = 0
    running = EscalationRun.objects.filter(status=EscalationStatus.RUNNING)
    while (elapsed := time.time() - begun) < seconds and running.exists():
        done += escalation.run(started + timedelta(seconds=elapsed * FASTER))
        time.sleep(0.01)
    return done


def die(started: datetime) -> None:
    """Take one step and be killed before it is committed."""
    from alerts.services import escalation, escalation_targets

    def killed(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    escalation_targets.record_step = killed
    escalation.run(started)


if __name__ == "__main__":
    django.setup()
    role, start, wall, duration = sys.argv[1:]
    if role == "die":
        die(datetime.fromisoformat(start))
    print(escalate(datetime.fromisoformat(start), float(wall), float(duration)))
