"""The addresses below /api: the root, and one branch per app that has an API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from core.api import approvals, root

v1: list[URLPattern | URLResolver] = [
    path("v1", root.RootView.as_view(), name="api-root"),
    path("v1/whoami", root.WhoamiView.as_view(), name="api-whoami"),
    path("v1/openapi.json", root.OpenApiView.as_view(), name="api-schema"),
    path("v1/approvals", approvals.ApprovalList.as_view(), name="approvals"),
    path("v1/approvals/<uuid:approval_id>", approvals.ApprovalDetail.as_view(), name="approval"),
    path("v1/approvals/<uuid:approval_id>/approve", approvals.ApprovalApprove.as_view(), name="approval-approve"),
    path("v1/approvals/<uuid:approval_id>/refuse", approvals.ApprovalRefuse.as_view(), name="approval-refuse"),
    path("v1/approvals/<uuid:approval_id>/withdraw", approvals.ApprovalWithdraw.as_view(), name="approval-withdraw"),
    path("v1/financial/", include("costs.api.urls")),
    path("v1/alerts/", include("alerts.api.urls")),
    path("v1/slas/", include("slas.api.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *v1,
    path("docs", root.docs, name="api-docs"),
    # Last: nothing below /api falls through to pages and their redirects.
    path("<path:rest>", root.nothing_here),
]
