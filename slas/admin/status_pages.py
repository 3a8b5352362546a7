"""Status pages in the admin: what is put on them, incidents and their updates, proposals, a preview."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.adminkit import (
    AuditedModelAdmin,
    Dialog,
    EmptyState,
    ModelAdmin,
    ReadOnlyInline,
    ReasonForm,
    RelatedDropdownFilter,
    Select,
    StackedInline,
    Textarea,
    TextInput,
    action,
    display,
)
from core.adminkit import DialogForm as Form
from core.errors import Invalid
from slas.admin.saving import LabelledInline
from slas.admin.sections import CONTRACTS
from slas.choices import IncidentStage
from slas.models import StatusComponent, StatusIncident, StatusMaintenance, StatusPage, StatusUpdate
from slas.models.status import MANUAL_IMPACTS
from slas.services import status_pages as services
from slas.services.contracts.terms import check_time_zone
from slas.statuspage import build
from slas.statuspage.views import POLICY, rendered


class ComponentInline(LabelledInline[StatusComponent, StatusPage]):
    """The lines of a page."""

    model = StatusComponent
    fields = ("name", "slug", "section", "position", "slo", "degraded_below", "outage_below", "forced", "description")
    prepopulated_fields = {"slug": ("name",)}


class MaintenanceInline(StackedInline[StatusMaintenance, StatusPage]):
    """Exclusions that the public is told about."""

    model = StatusMaintenance
    fields = ("exclusion", "title", "text", "components")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the components of this page alone."""
        page = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        kwargs["queryset"] = StatusComponent.objects.filter(page=page) if page else StatusComponent.objects.none()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class PageForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A page and its time zone."""

    class Meta:
        model = StatusPage
        fields = ("title", "slug", "description", "time_zone", "main", "propose_incidents")

    def clean_time_zone(self) -> str:
        """Refuse what is no time zone."""
        name: str = self.cleaned_data["time_zone"]
        try:
            check_time_zone(name)
        except Invalid as refusal:
            raise forms.ValidationError(refusal.detail) from refusal
        return name


class NewIncidentForm(Form):
    """What the public is told first."""

    title = forms.CharField(max_length=200, widget=TextInput)
    impact = forms.ChoiceField(choices=MANUAL_IMPACTS, initial="degraded", widget=Select)
    stage = forms.ChoiceField(choices=IncidentStage.choices, widget=Select)
    components = forms.MultipleChoiceField(required=False, help_text="Which components are affected.")
    text = forms.CharField(max_length=5000, widget=Textarea(attrs={"rows": 4}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = StatusComponent.objects.filter(page=self.object_id) if self.object_id else StatusComponent.objects.none()
        self.fields["components"].choices = [(row.slug, row.name) for row in rows]


class UpdateForm(Form):
    """What is new."""

    stage = forms.ChoiceField(choices=IncidentStage.choices, widget=Select)
    text = forms.CharField(max_length=5000, widget=Textarea(attrs={"rows": 4}))


class ProposalForm(Form):
    """A proposal in words for the public."""

    title = forms.CharField(max_length=200, widget=TextInput)
    impact = forms.ChoiceField(choices=MANUAL_IMPACTS, initial="degraded", widget=Select)
    text = forms.CharField(max_length=5000, widget=Textarea(attrs={"rows": 4}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = StatusIncident.objects.filter(pk=self.object_id).first() if self.object_id else None
        if found is not None:
            self.fields["title"].initial, self.fields["impact"].initial = found.title, found.impact


@admin.register(StatusPage)
class StatusPageAdmin(AuditedModelAdmin[StatusPage]):
    """What the public sees; nothing of it until it is published."""

    form = PageForm
    list_display = ("title", "address", "public", "component_count")
    search_fields = ("title", "slug")
    ordering = ("title", "id")
    fields = (("title", "slug"), "description", ("time_zone", "main", "propose_incidents"))
    prepopulated_fields = {"slug": ("title",)}
    inlines = (ComponentInline, MaintenanceInline)
    actions_detail = ("preview", "tell", "publish", "withdraw")
    change_form_before_template = "admin/slas/status_page.html"
    menu_icon = "public"
    menu_section = CONTRACTS
    menu_order = 50
    empty_state = EmptyState(
        "No status pages yet",
        "A status page tells everybody, without a login, how the components you choose are doing.",
        icon="public",
        step="Add a status page",
        link=lambda: reverse("admin:slas_statuspage_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatusPage]:
        """Read the components of a whole list at once."""
        return super().get_queryset(request).prefetch_related("components")

    @display(description="Address")
    def address(self, page: StatusPage) -> SafeString:
        """Where it is, or would be."""
        return format_html('<a class="af-link" href="{0}">{0}</a>', reverse("status-page", args=[page.slug]))

    @display(description="Public", label={"Public": "success", "Private": "info"})
    def public(self, page: StatusPage) -> str:
        """Whether everybody sees it."""
        return "Public" if page.published_at else "Private"

    @display(description="Components")
    def component_count(self, page: StatusPage) -> int:
        """How many lines it has."""
        return len(page.components.all())

    def save_model(self, request: HttpRequest, obj: StatusPage, form: Any, change: bool) -> None:
        """Note when it was made."""
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)

    def details(self, obj: StatusPage) -> dict[str, Any]:
        """Return where the page and its feeds are."""
        address = reverse("status-page", args=[obj.slug])
        return {
            "status_public": obj.published_at is not None,
            "status_addresses": [
                ("Page", address), *([("Main page", reverse("status"))] if obj.main else []),
                ("RSS", f"{address}/feed.xml"), ("JSON", f"{address}/status.json"), ("Badge", f"{address}/badge.svg"),
            ],
        }  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        """Add the preview."""
        view = self.admin_site.admin_view(self.preview_view)
        return [path("<uuid:page_id>/as-public/", view, name="slas_statuspage_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest, page_id: Any) -> HttpResponse:
        """Show the page as the public would see it now, published or not."""
        page = StatusPage.objects.filter(pk=page_id).first()
        if not self.has_view_permission(request, page):
            raise PermissionDenied
        if page is None:
            raise Http404("there is no such page")
        address = request.build_absolute_uri(reverse("status-page", args=[page.slug]))
        answer = HttpResponse(rendered(build(page, now=timezone.now()), address, preview=True))
        answer["Content-Security-Policy"] = POLICY
        answer["Cache-Control"] = "no-store"
        return answer

    def has_publish_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may let everybody see the page."""
        return self.has_change_permission(request, obj) and (obj is None or obj.published_at is None)

    def has_withdraw_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may take the page away."""
        return self.has_change_permission(request, obj) and (obj is None or obj.published_at is not None)

    @action(description="Preview", permissions=["view"], safe=True, icon="visibility", url_path="preview",
            attrs={"target": "_blank"})  # fmt: skip
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the page as the public would see it."""
        return redirect(reverse("admin:slas_statuspage_preview", args=[object_id]))

    @action(
        description="Tell an incident",
        permissions=["change"],
        icon="campaign",
        url_path="tell",
        dialog=Dialog("Tell the public of an incident", "It is on the page at once.", NewIncidentForm, "Tell it"),
    )
    def tell(self, request: HttpRequest, form: NewIncidentForm, object_id: str) -> None:
        """Put an incident on the page."""
        given = {name: form.cleaned_data[name] for name in ("title", "text", "impact", "stage", "components")}
        services.tell_incident(self._key(object_id), now=timezone.now(), **given)
        self.message_user(request, "The incident is on the page.", messages.SUCCESS)

    @action(
        description="Publish",
        permissions=["publish"],
        icon="public",
        variant="primary",
        url_path="publish",
        dialog=Dialog("Publish the page", "Everybody can see it, without a login.", submit="Publish"),
    )
    def publish(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Let everybody see the page."""
        services.publish_page(self._key(object_id), now=timezone.now())
        self.message_user(request, "The page is public.", messages.SUCCESS)

    @action(
        description="Withdraw",
        permissions=["withdraw"],
        icon="public_off",
        url_path="withdraw",
        dialog=Dialog("Withdraw the page", "It is gone for the public within ten seconds.", ReasonForm, "Withdraw"),
    )
    def withdraw(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Take the page away from the public."""
        services.withdraw_page(self._key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The page is private.", messages.SUCCESS)

    def _key(self, object_id: str) -> Any:
        return self.opts.pk.to_python(object_id)


class UpdateInline(ReadOnlyInline[StatusUpdate, StatusIncident]):
    """What was said."""

    model = StatusUpdate
    fields = ("at", "stage", "text", "written_by")
    readonly_fields = fields


class WaitingFilter(admin.SimpleListFilter):
    """Incidents by whether somebody has to do something."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("proposed", "Proposed"), ("open", "Told, not resolved"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StatusIncident]) -> QuerySet[StatusIncident]:
        wanted: dict[str, dict[str, Any]] = {
            "proposed": {"published_at": None, "dismissed_at": None, "resolved_at": None},
            "open": {"published_at__isnull": False, "resolved_at": None},
            "over": {"resolved_at__isnull": False},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


@admin.register(StatusIncident)
class StatusIncidentAdmin(ModelAdmin[StatusIncident]):
    """What the public is told, and what it could be told; every word goes through an action."""

    list_display = ("title", "page", "state", "impact", "started_at", "resolved_at")
    list_select_related = ("page",)
    list_filter = (WaitingFilter, ("page", RelatedDropdownFilter))
    search_fields = ("title",)
    ordering = ("-started_at", "-id")
    fields = ("page", "title", "impact", "stage", "started_at", "resolved_at", "published_at", "proposed_from")
    inlines = (UpdateInline,)
    actions_detail = ("say", "publish", "dismiss")
    menu_icon = "campaign"
    menu_section = CONTRACTS
    menu_order = 60
    empty_state = EmptyState(
        "No public incidents",
        "Tell the public of an incident on the page of a status page. Proposals from conditions appear here, too.",
        icon="campaign",
        step="Status pages",
        link=lambda: reverse("admin:slas_statuspage_changelist"),
    )

    @display(description="State", label={"Proposed": "warning", "Told": "danger", "Over": "success"})
    def state(self, incident: StatusIncident) -> str:
        """Whether it is told, proposed or over."""
        if incident.resolved_at or incident.dismissed_at:
            return "Over"
        return "Told" if incident.published_at else "Proposed"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_say_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may update the incident."""
        fits = obj is None or (obj.published_at is not None and obj.resolved_at is None)
        return fits and request.user.has_perm("slas.change_statusincident")

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may decide on the proposal."""
        fits = obj is None or (obj.published_at is None and obj.dismissed_at is None)
        return fits and request.user.has_perm("slas.change_statusincident")

    @action(
        description="Update",
        permissions=["say"],
        icon="edit_note",
        variant="primary",
        url_path="say",
        dialog=Dialog("Say what is new", "On the page at once; “resolved” ends the incident.", UpdateForm, "Say it"),
    )
    def say(self, request: HttpRequest, form: UpdateForm, object_id: str) -> None:
        """Add an update."""
        given = form.cleaned_data
        services.update_incident(self._key(object_id), stage=given["stage"], text=given["text"], now=timezone.now())
        self.message_user(request, "The update is on the page.", messages.SUCCESS)

    @action(
        description="Tell the public",
        permissions=["decide"],
        icon="campaign",
        variant="primary",
        url_path="publish",
        dialog=Dialog("Tell the public", "Only these words leave the platform.", ProposalForm, "Tell it"),
    )
    def publish(self, request: HttpRequest, form: ProposalForm, object_id: str) -> None:
        """Publish a proposal."""
        given = {name: form.cleaned_data[name] for name in ("title", "text", "impact")}
        services.publish_proposal(self._key(object_id), now=timezone.now(), **given)
        self.message_user(request, "The incident is on the page.", messages.SUCCESS)

    @action(
        description="Dismiss",
        permissions=["decide"],
        icon="close",
        url_path="dismiss",
        dialog=Dialog("Dismiss the proposal", "The public is not told.", ReasonForm, "Dismiss"),
    )
    def dismiss(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Decide not to tell."""
        services.dismiss_proposal(self._key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The proposal is dismissed.", messages.SUCCESS)

    def _key(self, object_id: str) -> Any:
        return self.opts.pk.to_python(object_id)
