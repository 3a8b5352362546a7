"""The checklist of a new installation, on the home page until everything on it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.http import HttpRequest
from django.urls import reverse

from core.models import ApiKey
from costs.models import Budget, CostEvent


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do once, with the page where it is done."""

    title: str
    done: bool
    link: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """The steps, how many are done, and a command that does the decisive one."""

    steps: tuple[Step, ...]
    snippet: str

    @property
    def done(self) -> int:
        """How many steps are done."""
        return sum(step.done for step in self.steps)


def first_steps(request: HttpRequest, now: datetime) -> FirstSteps | None:
    """Return the checklist for an administrator, or None when all is done or the person cannot do it."""
    if not request.user.has_perm("core.add_apikey"):
        return None
    has_key, has_cost = ApiKey.objects.exists(), CostEvent.objects.exists()
    steps = (
        Step("Add a second factor to your account", _has_factor(request.user), reverse("mfa_index"),
             "An authenticator app or a passkey, with recovery codes to print."),
        Step("Make an API key for your first agent", has_key, reverse("admin:core_apikey_add"),
             "It is shown once, with snippets that contain it."),
        Step("Receive a first cost", has_cost, "", "Run the command below, or point an OpenTelemetry exporter here."),
        Step("Set a first budget", Budget.objects.exists(), _page("admin:costs_budget_add"),
             "A soft one warns, a hard one refuses what does not fit."),
    )  # fmt: skip
    if all(step.done for step in steps):
        return None
    return FirstSteps(steps, snippet=_snippet(request) if has_key and not has_cost else "")


def _has_factor(user: Any) -> bool:
    return bool(Authenticator.objects.filter(user=user).exists())


def _page(name: str) -> str:
    from django.urls import NoReverseMatch

    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _snippet(request: HttpRequest) -> str:
    address = request.build_absolute_uri("/api/v1/financial/costs")
    return (
        f"curl -X POST {address} \\\n"
        "  -H 'Authorization: Bearer af_YOUR_KEY' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"cost_type": "llm_api", "entity_type": "agent", "entity_id": "my-first-agent",'
        ' "provider": "openai", "model": "gpt-4o", "input_tokens": 1200, "output_tokens": 300}\''
    )
