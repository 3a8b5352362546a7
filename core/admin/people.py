"""People, their roles, their second factors and their sessions."""

from __future__ import annotations

from typing import Any

# Imported for what they register, so that ours can take its place.
import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core import audit
from core.admin.doings import leads_to, may_look
from core.adminkit import (
    AdminPasswordChangeForm,
    AuditedModelAdmin,
    ReadOnlyModelAdmin,
    UserChangeForm,
    UserCreationForm,
    action,
    display,
)

for _model in (User, Group, Authenticator, UserSession, EmailAddress):
    admin.site.unregister(_model)
# E-mail addresses stay unregistered: people keep their own on their account page.


@admin.register(User)
class UserAdmin(AuditedModelAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """People. Who is not a superuser makes none, changes none, and does not change their own roles."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "role_names", "is_active", "is_superuser", "has_factor", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")
    search_fields = ("username", "email", "first_name", "last_name")
    ordering = ("username", "pk")
    filter_horizontal = ("groups", "user_permissions")
    readonly_fields = ("last_login", "date_joined")
    actions_detail = ("doings",)
    menu_icon = "person"
    menu_order = 60

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return people with their groups and second factors, read in bulk."""
        return super().get_queryset(request).prefetch_related("groups", "authenticator_set")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep superusers out of the reach of others: changing one is becoming one."""
        if isinstance(obj, User) and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People are deactivated: what they did keeps pointing at them."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Lock what would raise one's own rights."""
        fields = tuple(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fields
        fields = (*fields, "is_superuser", "user_permissions", "is_staff")
        return (*fields, "groups", "is_active") if obj is not None and obj.pk == request.user.pk else fields

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Change somebody's password and record it, both or neither."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Record a change of the form, or the setting of a password, which comes without one."""
        if hasattr(request, "_audit_before"):
            super().log_change(request, obj, message)
        else:
            audit.record("user.password_changed", obj, now=timezone.now())

    def has_look_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may see everything that somebody did."""
        return may_look(request)

    @action(description="Everything they did", permissions=["look"], safe=True, icon="frame_inspect", url_path="doings")
    def doings(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to everything that this person did."""
        return leads_to("user", object_id)

    @display(description="Roles")
    def role_names(self, obj: User) -> str:
        """Return the groups, from what was prefetched."""
        return ", ".join(sorted(group.name for group in obj.groups.all())) or "–"

    @display(description="Second factor", boolean=True)
    def has_factor(self, obj: Any) -> bool:
        """Return whether the account has a second factor, from what was prefetched."""
        return any(factor.type != "recovery_codes" for factor in obj.authenticator_set.all())


@admin.register(Group)
class GroupAdmin(AuditedModelAdmin[Group], DjangoGroupAdmin):
    """Roles. The built-in ones get back what they lack at every migration."""

    search_fields = ("name",)
    ordering = ("name", "pk")
    filter_horizontal = ("permissions",)
    menu_icon = "groups"
    menu_order = 61


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyModelAdmin[Authenticator]):
    """Second factors: that they exist and were used. Their secrets are not shown to anybody."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    ordering = ("-created_at", "-id")
    fields = ("user", "type", "created_at", "last_used_at")
    export_exclude = ("data",)
    menu_icon = "security_key"
    menu_order = 62


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyModelAdmin[UserSession]):
    """Who is signed in, from where; people end their own sessions on their account page."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__username", "ip")
    ordering = ("-last_seen_at", "-id")
    fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    export_exclude = ("session_key", "data")
    menu_icon = "devices"
    menu_order = 63
