"""Who spends: entities in their tree, and the cost centres they are booked on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from core.adminkit import (
    AuditedModelAdmin,
    AutocompleteSelectFilter,
    Dialog,
    DialogForm,
    EmptyState,
    Select,
    action,
    display,
)
from core.money import ZERO
from costs import explorer, reader
from costs.admin.changelists import FigureChangeList
from costs.admin.explorer import SNIPPET
from costs.admin.links import change_link
from costs.admin.refusals import SCRIPTS, STYLES, ServiceModelAdmin
from costs.amounts import amount
from costs.models import Budget, CostCenter, Entity, EntityClosure
from costs.reader_plan import Answer, Filters, Question
from costs.services import entities as services

CHILDREN_SHOWN = 200


class EntityForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Name, parent and cost centre; a circle is refused before anything is written."""

    class Meta:
        model = Entity
        fields = ("entity_type", "entity_id", "name", "parent", "cost_center")
        labels = {"parent": "Part of", "cost_center": "Cost centre"}

    def clean_parent(self) -> Entity | None:
        """Refuse a parent that is below this entity."""
        parent = cast("Entity | None", self.cleaned_data["parent"])
        below = EntityClosure.objects.filter(ancestor_id=self.instance.pk, descendant=parent)
        if parent is not None and self.instance.pk is not None and below.exists():
            raise forms.ValidationError(f"{parent} is below this entity or is the same: that would make a circle.")
        return parent


class CenterForm(DialogForm):
    """Which cost centre to book on."""

    cost_center = forms.ModelChoiceField(
        CostCenter.objects.all(), required=False, widget=Select, label="Cost centre", help_text="Empty: on none."
    )


@admin.register(Entity)
class EntityAdmin(ServiceModelAdmin[Entity]):
    """Every agent, workflow, team, user and tenant that spends; senders make them, people arrange them."""

    class Media:
        css = STYLES
        js = SCRIPTS

    form = EntityForm
    list_display = ("title", "entity_type", "entity_id", "parent_link", "center", "spent", "first_seen_at")
    list_select_related = ("parent", "cost_center")
    ordering = ("entity_type", "entity_id", "id")
    list_filter = (("cost_center", AutocompleteSelectFilter), ("parent", AutocompleteSelectFilter))
    search_fields = ("entity_id", "name")
    show_full_result_count = False
    autocomplete_fields = ("parent", "cost_center")
    actions = ("book_on_center",)
    fields = (("entity_type", "entity_id"), "name", "parent", "cost_center")
    export_fields = ("entity_type", "entity_id", "name", "parent__entity_id", "cost_center__code", "first_seen_at")
    change_form_after_template = "admin/costs/entity_details.html"
    menu_icon = "account_tree"
    menu_order = 60
    empty_state = EmptyState(
        "No entities yet", "They appear with the first cost they send.", icon="account_tree", snippet=SNIPPET
    )

    @display(description="Entity", ordering="name")
    def title(self, entity: Entity) -> str:
        return str(entity)

    @display(description="Part of")
    def parent_link(self, entity: Entity) -> SafeString | str:
        return change_link(entity.parent)

    @display(description="Cost centre")
    def center(self, entity: Entity) -> str:
        return str(entity.cost_center) if entity.cost_center else "–"

    @display(description="This month, with all below")
    def spent(self, entity: Any) -> str:
        return _money(entity.month_spent)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the list that reads the month's spending of a page at once."""
        return FigureChangeList

    def add_figures(self, request: HttpRequest, rows: list[Any]) -> None:
        """Give every entity of the page what it and all below it spent this month."""
        spent = month_by_branch([entity.pk for entity in rows])
        for entity in rows:
            entity.month_spent = spent.get(entity.pk, ZERO)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("entity_type", "entity_id") if obj else ()

    def save_model(self, request: HttpRequest, obj: Entity, form: Any, change: bool) -> None:
        """Save through the services, one for each thing that changed."""
        now, wanted = timezone.now(), form.cleaned_data
        if not change:
            obj.pk = services.resolve([(obj.entity_type, obj.entity_id)], now=now)[obj.entity_type, obj.entity_id]
        stored = Entity.objects.get(pk=obj.pk)
        if stored.name != wanted["name"]:
            services.rename(stored, wanted["name"], now=now)
        if stored.parent != wanted["parent"]:
            services.set_parent(stored, wanted["parent"], now=now)
        if stored.cost_center != wanted["cost_center"]:
            services.set_cost_center(stored, wanted["cost_center"], now=now)

    @action(
        description="Book on a cost centre",
        permissions=["change"],
        dialog=Dialog(
            "Book on a cost centre", "Applies to all of their costs, past ones included.", CenterForm, "Book"
        ),
    )
    def book_on_center(self, request: HttpRequest, form: CenterForm, entities: QuerySet[Entity]) -> None:
        """Book the selected entities on one cost centre."""
        center = form.cleaned_data["cost_center"]
        changed = [entity for entity in entities.select_related("cost_center") if entity.cost_center != center]
        for entity in changed:
            services.set_cost_center(entity, center, now=timezone.now())
        skipped = len(entities) - len(changed)
        note = f" {skipped} already were." if skipped else ""
        self.message_user(request, f"Booked {len(changed)} on {center or 'no cost centre'}.{note}", messages.SUCCESS)

    def details(self, obj: Entity) -> dict[str, Any]:
        """Return where the entity stands in the tree, what is below it and what it spends."""
        return entity_details(obj)


def month_by_branch(keys: list[int]) -> dict[int, Any]:
    """Return what each of these entities and all below it spent this month, by two reads for any number of them."""
    links = EntityClosure.objects.filter(ancestor_id__in=keys).values_list("ancestor_id", "descendant_id")
    pairs = list(links)
    names = _names({descendant for _, descendant in pairs})
    answer = _this_month(Filters(entities=tuple(names.values()))) if names else None
    spent = {group.keys[0].value: group.measures.base_amount for group in answer.groups} if answer else {}
    found: dict[int, Any] = {}
    for ancestor, descendant in pairs:
        found[ancestor] = found.get(ancestor, ZERO) + spent.get(names[descendant], ZERO)
    return found


def _names(keys: set[int]) -> dict[int, str]:
    rows = Entity.objects.filter(pk__in=keys).values_list("pk", "entity_type", "entity_id")
    return {pk: f"{entity_type}:{entity_id}" for pk, entity_type, entity_id in rows}


def _this_month(filters: Filters) -> Answer:
    window = explorer.preset("month", timezone.now(), reader.organisation_zone())
    return reader.ask(Question(window, filters, ("entity",), original=False))


def entity_details(entity: Entity) -> dict[str, Any]:
    """Return the line of ancestors, the children with what their branches spent, and the budgets of an entity."""
    links = EntityClosure.objects.filter(descendant=entity, depth__gt=0).select_related("ancestor").order_by("-depth")
    children = list(Entity.objects.filter(parent=entity).order_by("name", "entity_id")[:CHILDREN_SHOWN])
    spent = month_by_branch([entity.pk, *(child.pk for child in children)])
    name = f"{entity.entity_type}:{entity.entity_id}"
    return {
        "entity_line": [change_link(link.ancestor) for link in links],
        "entity_children": [
            (change_link(child), amount(spent.get(child.pk, ZERO), settings.BASE_CURRENCY)) for child in children
        ],
        "entity_budgets": [(change_link(budget), budget.get_mode_display()) for budget in _budgets(entity)],
        "entity_spent": _money(spent.get(entity.pk, ZERO)),
        "entity_explorer": f"{reverse('admin:costs_explorer')}?period=month&entity={name}&subtree=1&group=entity",
    }


def _money(value: Decimal) -> str:
    return amount(value, settings.BASE_CURRENCY)


def _budgets(entity: Entity) -> QuerySet[Budget]:
    return Budget.objects.filter(entity__descendant_links__descendant=entity, archived_at=None).order_by("name")


@admin.register(CostCenter)
class CostCenterAdmin(AuditedModelAdmin[CostCenter]):
    """Where finance books what entities spend."""

    list_display = ("code", "name", "gl_account")
    search_fields = ("code", "name", "gl_account")
    ordering = ("code", "id")
    menu_icon = "account_balance"
    menu_order = 70
    empty_state = EmptyState(
        "No cost centres yet", "Add those of your general ledger, then book entities on them.", icon="account_balance",
        step="Add a cost centre", link=lambda: reverse("admin:costs_costcenter_add"),
    )  # fmt: skip
