"""Items that could not be recorded, kept whole: mended and sent again, or set aside."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from core.adminkit import Dialog, DialogForm, EmptyState, ReasonForm, Textarea, action, display
from costs.admin.queues import OpenFilter, QueueAdmin, report
from costs.admin.refusals import STYLES
from costs.admin.sections import QUEUES
from costs.models import IngestReject
from costs.services.rejects import ignore_reject, retry_reject


class MendForm(DialogForm):
    """The item as it was sent, to be mended."""

    payload = forms.JSONField(widget=Textarea(attrs={"rows": 14, "class": "costs-payload af-input"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.object_id and not self.is_bound:
            reject = IngestReject.objects.get(pk=self.object_id)
            self.initial["payload"] = reject.payload
            self.fields["payload"].help_text = "; ".join(reasons_of(reject))


def reasons_of(reject: IngestReject) -> list[str]:
    """Return why an item was refused, in words."""
    return [f"{reason.get('pointer') or 'item'}: {reason.get('detail', '')}" for reason in reject.reasons]


@admin.register(IngestReject)
class IngestRejectAdmin(QueueAdmin):
    """Items that could not be recorded, kept whole: mend them, send them again, or set them aside."""

    class Media:
        css = STYLES

    list_display = ("summary", "kind", "source", "why", "event_count", "last_seen_at", "state")
    list_filter = (OpenFilter, "kind")
    search_fields = ("source",)
    ordering = ("-last_seen_at", "-id")
    fields = (("kind", "source"), "why", ("event_count", "state"), ("first_seen_at", "last_seen_at"), "resolved_at")
    readonly_fields = ("why", "state")
    actions = ("retry", "ignore")
    actions_detail = ("mend", "ignore_one")
    change_form_after_template = "admin/costs/reject_payload.html"
    show_full_result_count = False
    menu_icon = "report"
    menu_section = QUEUES
    menu_order = 30
    empty_state = EmptyState("Nothing was refused", "Items that cannot be recorded appear here.", icon="task_alt")

    @display(description="Item")
    def summary(self, reject: IngestReject) -> str:
        payload = reject.payload if isinstance(reject.payload, dict) else {}
        parts = [str(payload.get(name, "")) for name in ("cost_type", "entity_id", "amount", "model")]
        return " · ".join(part for part in parts if part)[:80] or "(not an item)"

    @display(description="Why")
    def why(self, reject: IngestReject) -> str:
        return "; ".join(reasons_of(reject))[:300] or "–"

    def details(self, obj: IngestReject) -> dict[str, Any]:
        """Return the item as it was sent."""
        return {"payload_text": json.dumps(obj.payload, indent=2, ensure_ascii=False)}

    @action(
        description="Mend and send again",
        permissions=["settle"],
        icon="build",
        variant="primary",
        url_path="mend",
        dialog=Dialog(
            "Mend the item", "It is recorded under its sender's name, as if it had just come.", MendForm, "Send"
        ),
    )
    def mend(self, request: HttpRequest, form: MendForm, object_id: str) -> None:
        """Send the item again as it was mended."""
        reject = IngestReject.objects.get(pk=object_id)
        verdict = retry_reject(reject, now=timezone.now(), payload=form.cleaned_data["payload"])
        if verdict.status in {"recorded", "duplicate"}:
            self.message_user(request, f"The item is {verdict.status}.", messages.SUCCESS)
            return
        details = "; ".join(f"{error.pointer or 'item'}: {error.detail}" for error in verdict.errors)
        self.message_user(request, f"Still not recorded: {details or verdict.status}", messages.ERROR)

    @action(
        description="Ignore",
        permissions=["settle"],
        icon="visibility_off",
        url_path="ignore",
        dialog=Dialog(
            "Ignore the item", "This cost is not recorded. The item stays here, marked.", ReasonForm, "Ignore"
        ),
    )
    def ignore_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Set this item aside."""
        ignore_reject(IngestReject.objects.get(pk=object_id), now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, "The item is set aside.", messages.SUCCESS)

    @action(description="Send again as they are", permissions=["settle"])
    def retry(self, request: HttpRequest, rejects: QuerySet[IngestReject]) -> None:
        """Send the selected items again, unchanged: their cause may be gone."""
        waiting = list(rejects.filter(status="open"))
        verdicts = [retry_reject(reject, now=timezone.now()) for reject in waiting]
        done = sum(verdict.status in {"recorded", "duplicate"} for verdict in verdicts)
        failed = len(waiting) - done
        note = f" {failed} still refused, with the reasons shown." if failed else ""
        level = messages.WARNING if failed or not done else messages.SUCCESS
        self.message_user(request, f"{done} recorded.{note}", level)

    @action(
        description="Ignore",
        permissions=["settle"],
        dialog=Dialog(
            "Ignore items", "These costs are not recorded. The items stay here, marked.", ReasonForm, "Ignore"
        ),
    )
    def ignore(self, request: HttpRequest, form: ReasonForm, rejects: QuerySet[IngestReject]) -> None:
        """Set the selected items aside."""
        waiting = list(rejects.filter(status="open"))
        for reject in waiting:
            ignore_reject(reject, now=timezone.now(), reason=form.cleaned_data["reason"])
        report(self, request, len(waiting), "ignored")
