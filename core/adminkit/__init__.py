"""The admin kit: the only door to the admin theme. Apps build their admin pages from these names alone."""

from core.adminkit.actions import Dialog, DialogForm, ReasonForm, action, add_refusal
from core.adminkit.audited import AuditedModelAdmin
from core.adminkit.base import EmptyState, ModelAdmin, ReadOnlyInline, StackedInline, TabularInline
from core.adminkit.columns import display, grouped, money_column
from core.adminkit.filters import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesCheckboxFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    PeriodFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
    RelatedDropdownFilter,
    period,
    period_filter,
    word_filter,
)
from core.adminkit.large import EstimatingPaginator, LargeTableAdmin
from core.adminkit.navigation import navigation
from core.adminkit.pages import PageView, page
from core.adminkit.readonly import ReadOnlyModelAdmin
from core.adminkit.site import Site, environment_badge, site_context
from core.adminkit.widgets import (
    AdminPasswordChangeForm,
    CheckboxSelectMultiple,
    MoneyInput,
    PasswordInput,
    Select,
    SplitDateTime,
    Textarea,
    TextInput,
    UserChangeForm,
    UserCreationForm,
)

__all__ = [
    "AdminPasswordChangeForm",
    "AuditedModelAdmin",
    "AutocompleteSelectFilter",
    "BooleanRadioFilter",
    "CheckboxSelectMultiple",
    "ChoicesCheckboxFilter",
    "ChoicesDropdownFilter",
    "Dialog",
    "DialogForm",
    "EmptyState",
    "EstimatingPaginator",
    "FieldTextFilter",
    "LargeTableAdmin",
    "ModelAdmin",
    "MoneyInput",
    "PageView",
    "PasswordInput",
    "PeriodFilter",
    "RangeDateFilter",
    "RangeDateTimeFilter",
    "RangeNumericFilter",
    "ReadOnlyInline",
    "ReadOnlyModelAdmin",
    "ReasonForm",
    "RelatedDropdownFilter",
    "Select",
    "Site",
    "SplitDateTime",
    "StackedInline",
    "TabularInline",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
    "action",
    "add_refusal",
    "display",
    "environment_badge",
    "grouped",
    "money_column",
    "navigation",
    "page",
    "period",
    "period_filter",
    "site_context",
    "word_filter",
]
