"""Approvals in the admin: what waits for one's decision, what one asked for, and everything that was decided."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import approvals
from core.adminkit import (
    Dialog,
    DialogForm,
    EmptyState,
    PageView,
    ReadOnlyModelAdmin,
    ReasonForm,
    Textarea,
    action,
    display,
    page,
    period_filter,
)
from core.choices import OPEN_APPROVALS, ApprovalStatus
from core.models import Approval
from core.ports.approvals import approval_kinds
from core.ports.panels import Table

STATUS_COLOURS = {
    ApprovalStatus.WAITING: "warning",
    ApprovalStatus.APPROVED: "primary",
    ApprovalStatus.EXECUTING: "primary",
    ApprovalStatus.DONE: "success",
    ApprovalStatus.FAILED: "danger",
    ApprovalStatus.REFUSED: "danger",
    ApprovalStatus.WITHDRAWN: "info",
    ApprovalStatus.EXPIRED: "info",
}
SHOWN = 20


class DecideForm(ReasonForm):
    """Says what exactly is decided about, asks why, and carries the digest of what was shown."""

    what = forms.CharField(
        label="What exactly happens",
        required=False,
        disabled=True,
        widget=Textarea(attrs={"rows": 8, "readonly": True}),
    )
    digest = forms.CharField(widget=forms.HiddenInput, required=False)
    field_order = ("what", "reason", "digest")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        approval = Approval.objects.filter(pk=self.object_id).first() if self.object_id else None
        if approval is not None:
            self.fields["digest"].initial = approval.digest
            asked = f"{approval.requester_label} asks: “{approval.reason}”"
            self.fields["what"].initial = "\n".join((*approval.description, asked))


APPROVE = Dialog("Let this happen", "It is carried out at once and cannot be called back.", DecideForm, "Approve")
REFUSE = Dialog("Refuse this request", "Nothing happens; who asked sees your reason.", DecideForm, "Refuse")
WITHDRAW = Dialog("Withdraw your request", "Nothing happens. You can ask again.", DialogForm, "Withdraw")


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyModelAdmin[Approval]):
    """Every request that concerns this person, with its decision; reached from the page of approvals."""

    list_display = (
        "title", "status_label", "asked_by", "requested_at", "expires_at", "decider", "decided_at",
    )  # fmt: skip
    list_filter = ("status", period_filter("requested_at"))
    search_fields = ("title", "requester_label", "decided_by_label", "reason")
    ordering = ("-id",)
    actions_detail = ("approve", "refuse", "withdraw")
    fieldsets = (
        (
            None,
            {"fields": ("what", "status_label", "reason", "asked_by", "requested_at", "expires_at", "about")},
        ),
        ("Decision", {"fields": ("decider", "decided_at", "decision_reason")}),
        ("Outcome", {"fields": ("result", "error", "finished_at", "attempt")}),
        ("Frozen", {"fields": ("kind", "arguments_text", "digest")}),
    )
    readonly_fields = ("what", "status_label", "asked_by", "decider", "about", "arguments_text")
    in_menu = False
    empty_state = EmptyState(
        "Nothing was asked for yet",
        "Acts that need a second person are listed here with who asked, who decided and what came of it.",
        icon="how_to_reg",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        """Return the requests that concern this person."""
        visible = approvals.visible_to(request.user)  # type: ignore[arg-type]  # nobody anonymous gets here
        return super().get_queryset(request) & visible

    def has_decide_permission(self, request: HttpRequest, obj: Approval | None = None) -> bool:
        """Say whether this person is the second one that the request waits for."""
        if obj is None:
            return True
        person: Any = request.user
        return obj.status == ApprovalStatus.WAITING and not approvals.objection(obj, person)

    def has_withdraw_permission(self, request: HttpRequest, obj: Approval | None = None) -> bool:
        """Say whether this is a waiting request of one's own."""
        return obj is None or (obj.status == ApprovalStatus.WAITING and obj.requested_by_id == request.user.pk)

    @action(
        description="Approve",
        permissions=["decide"],
        dialog=APPROVE,
        icon="check_circle",
        variant="primary",
        url_path="approve",
    )
    def approve(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Let the request happen."""
        person: Any = request.user
        given = form.cleaned_data
        approval = self.get_queryset(request).get(pk=object_id)
        approvals.approve(approval.pk, by=person, now=timezone.now(), reason=given["reason"], digest=given["digest"])
        self.message_user(request, "Approved; it is being carried out.", messages.SUCCESS)

    @action(
        description="Refuse", permissions=["decide"], dialog=REFUSE, icon="block", variant="danger", url_path="refuse"
    )
    def refuse(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """End the request."""
        person: Any = request.user
        approval = self.get_queryset(request).get(pk=object_id)
        approvals.refuse(approval.pk, by=person, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, "Refused; nothing happens.", messages.SUCCESS)

    @action(description="Withdraw", permissions=["withdraw"], dialog=WITHDRAW, icon="undo", url_path="withdraw")
    def withdraw(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Take one's own request back."""
        approval = self.get_queryset(request).get(pk=object_id)
        approvals.withdraw(approval.pk, now=timezone.now())
        self.message_user(request, "Withdrawn.", messages.SUCCESS)

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, obj: Approval) -> str:
        """Return the status as a coloured word."""
        return obj.status

    @display(description="Asked by", ordering="requester_label")
    def asked_by(self, obj: Approval) -> str:
        """Return who asked."""
        return obj.requester_label

    @display(description="Decided by", ordering="decided_by_label")
    def decider(self, obj: Approval) -> str:
        """Return who decided, or took it back."""
        return obj.decided_by_label or "–"

    @display(description="What exactly happens")
    def what(self, obj: Approval) -> SafeString:
        """Return the sentences that were frozen when it was asked for."""
        lines = format_html_join("", "<li>{}</li>", ((line,) for line in obj.description))
        return format_html('<ul class="af-list">{}</ul>', lines)

    @display(description="About")
    def about(self, obj: Approval) -> SafeString | str:
        """Return the object it is about, with its page where there is one."""
        name = f"{obj.subject_type} {obj.subject_id}".strip() or "–"
        return format_html('<a class="af-link" href="{}">{}</a>', obj.link, name) if obj.link else name

    @display(description="Arguments")
    def arguments_text(self, obj: Approval) -> SafeString:
        """Return what `execute` is given."""
        text = json.dumps(obj.arguments, indent=2, ensure_ascii=False)
        return format_html('<pre class="af-values">{}</pre>', text)


@page
class ApprovalsPage(PageView):
    """What waits for this person's decision, then what they asked for, then what was settled lately."""

    path = "approvals/"
    name = "approvals"
    title = "Approvals"
    subtitle = "Acts that take a second person"
    permissions = ("core.view_approval",)
    menu_section = "Platform"
    menu_icon = "how_to_reg"
    menu_order = 5
    template_name = "admin/core/approvals.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the three parts of the page."""
        person: Any = self.request.user
        decidable = [kind.name for kind in approval_kinds if approvals.may_decide(person, kind)]
        open_rows = Approval.objects.filter(status__in=OPEN_APPROVALS).select_related("requested_by")
        waiting = open_rows.filter(status=ApprovalStatus.WAITING, kind__in=decidable, expires_at__gt=timezone.now())
        to_decide = [row for row in waiting.order_by("expires_at", "id")[:200] if not approvals.objection(row, person)]
        mine = open_rows.filter(requested_by=person.pk).order_by("-id")[:SHOWN]
        settled = approvals.visible_to(person).exclude(status__in=OPEN_APPROVALS).order_by("-finished_at", "-id")
        return {
            **super().get_context_data(**kwargs),
            "to_decide": [_card(row) for row in to_decide],
            "mine": [_card(row) for row in mine],
            "settled": _table(settled[:SHOWN]),
            "history": reverse("admin:core_approval_changelist"),
        }


def _card(approval: Approval) -> dict[str, Any]:
    known = approval.kind in approval_kinds
    return {
        "row": approval,
        "kind": approval_kinds.get(approval.kind).title if known else approval.kind,
        "address": reverse("admin:core_approval_change", args=[approval.pk]),
        "approve": reverse("admin:core_approval_approve", args=[approval.pk]),
        "refuse": reverse("admin:core_approval_refuse", args=[approval.pk]),
        "withdraw": reverse("admin:core_approval_withdraw", args=[approval.pk]),
    }


def _table(rows: Iterable[Approval]) -> Table:
    cells = [
        (
            (row.title, row.requester_label, row.status, row.decided_by_label or "–", row.decision_reason or "–"),
            reverse("admin:core_approval_change", args=[row.pk]),
        )
        for row in rows
    ]
    return Table("Settled lately", ("What", "Asked by", "Status", "Decided by", "Why"), cells)
