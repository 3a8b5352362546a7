"""How people get in: no sign-up, a one-time link for the first administrator, everybody else made by one."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views import View

from core import setuplinks
from core.errors import Refusal
from core.forms import SetupForm

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # the library ships no types
    """Accounts are made by administrators."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say no: nobody makes an account for themselves."""
        return False


class SetupView(View):
    """The page behind the one-time link: user name, e-mail, password, and one is in."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or why the link opens nothing."""
        token = request.GET.get("token", "")
        if not setuplinks.is_valid(token, timezone.now()):
            return self._gone(request)
        return self._page(request, SetupForm(), token)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make the administrator, sign them in and open the home page."""
        now = timezone.now()
        token = request.POST.get("token", "")
        if not setuplinks.is_valid(token, now):
            return self._gone(request)
        form = SetupForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, token)
        values = {name: form.cleaned_data[name] for name in ("username", "email", "password")}
        try:
            user = setuplinks.use_setup_link(token, now=now, **values)
        except Refusal:
            return self._gone(request)
        login(request, user, backend=BACKEND)  # type: ignore[arg-type]  # the project's user model
        # Chosen a second ago: the second factor, which comes next, need not ask for the password again.
        record_authentication(request, user, method="password", username=values["username"], reauthenticated=True)
        messages.success(request, f"Welcome, {values['username']}. The link you used is closed for good.")
        return redirect("admin:index")

    def _page(self, request: HttpRequest, form: SetupForm, token: str) -> HttpResponse:
        return _uncached(TemplateResponse(request, "account/setup.html", {"form": form, "token": token}))

    def _gone(self, request: HttpRequest) -> HttpResponse:
        context: dict[str, Any] = {"needed": setuplinks.is_needed()}
        return _uncached(TemplateResponse(request, "account/setup_gone.html", context, status=410))


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
