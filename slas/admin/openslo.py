"""OpenSLO in the admin: paste or upload documents, see what they would do, then do it; download all objectives."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from core.adminkit import PageView, Textarea, page
from core.errors import Refusal
from slas.admin.sections import OBJECTIVES
from slas.openslo.nodes import MOST_BYTES
from slas.services import exchange

CHANGE = "slas.change_slo"


class DocumentsForm(forms.Form):
    """OpenSLO documents, as text or as a file."""

    file = forms.FileField(required=False, help_text="A YAML or JSON file; several documents are parted by ---.")
    documents = forms.CharField(required=False, widget=Textarea(attrs={"rows": 18, "spellcheck": "false"}))

    def clean(self) -> dict[str, Any]:
        """Take the file's text when there is one; either of both is needed."""
        cleaned = super().clean() or self.cleaned_data
        upload = cleaned.get("file")
        if upload is not None:
            if upload.size > MOST_BYTES:
                raise forms.ValidationError(f"At most {MOST_BYTES:,} bytes are read at once.")
            try:
                cleaned["documents"] = upload.read().decode()
            except UnicodeDecodeError:
                raise forms.ValidationError("The file is not UTF-8 text.") from None
        if not cleaned.get("documents", "").strip():
            raise forms.ValidationError("Paste documents or choose a file.")
        return cleaned


@page
class OpenSloPage(PageView):
    """Documents in, tried out first, and all objectives out."""

    path = "slas/openslo/"
    name = "slas_openslo"
    title = "OpenSLO"
    subtitle = "Objectives in the format that other tools read and write."
    permissions = ("slas.view_slo",)
    menu_section = OBJECTIVES
    menu_icon = "swap_horiz"
    menu_order = 80
    template_name = "admin/slas/openslo.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, or answer with the documents of all objectives."""
        if "download" in request.GET:
            answer = HttpResponse(exchange.give_out(), content_type="application/yaml; charset=utf-8")
            answer["Content-Disposition"] = 'attachment; filename="objectives.openslo.yaml"'
            return answer
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Try the documents out, or, once that was seen, take them in."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        form = DocumentsForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        text, for_real = form.cleaned_data["documents"], "import" in request.POST
        try:
            done = exchange.take_in(text, dry_run=not for_real, now=timezone.now())
        except Refusal as refusal:
            mistakes = refusal.errors or ()
            shown = DocumentsForm(initial={"documents": text})
            return self.render_to_response(self.get_context_data(form=shown, refusal=refusal.detail, mistakes=mistakes))
        if for_real:
            changed = sum(step.outcome != "unchanged" for step in done.steps)
            messages.success(request, f"Imported: {changed} of {len(done.steps)} created or changed.")
            return HttpResponseRedirect(reverse("admin:slas_slo_changelist"))
        shown = DocumentsForm(initial={"documents": text})
        return self.render_to_response(self.get_context_data(form=shown, tried=done))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the form and, once it was tried, what would be done."""
        may_import = self.request.user.has_perm(CHANGE)
        return super().get_context_data(**{"form": DocumentsForm(), "may_import": may_import, **kwargs})
