"""People for tests: with roles, or with single permissions."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User
from django.test import Client

PASSWORD = "correct horse battery"


def person(name: str = "maria", *, roles: tuple[str, ...] = (), permissions: tuple[str, ...] = ()) -> User:
    """Make somebody who is in these groups and has these "app.codename" permissions."""
    user = User.objects.create_user(name, f"{name}@example.org", PASSWORD)
    user.groups.set(Group.objects.filter(name__in=roles))
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    if permissions:
        user.is_staff = True
        user.save()
    return user


def administrator(name: str = "root") -> User:
    """Make a superuser."""
    return User.objects.create_superuser(name, f"{name}@example.org", PASSWORD)


def signed_in(user: User) -> Client:
    """Return a browser's worth of client, signed in."""
    client = Client()
    client.force_login(user)
    return client
