"""Addresses of customers, contracts, periods, reports and status pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from slas.api import contracts, periods, report_views, status_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("customers", contracts.CustomerList.as_view(), name="sla-customers"),
    path("contracts", contracts.ContractList.as_view(), name="sla-contracts"),
    path("contracts/<uuid:contract_id>", contracts.ContractDetail.as_view(), name="sla-contract"),
    path("contracts/<uuid:contract_id>/periods", periods.PeriodList.as_view(), name="sla-periods"),
    path("contracts/<uuid:contract_id>/periods/<str:start>", periods.PeriodDetail.as_view(), name="sla-period"),
    path("contracts/<uuid:contract_id>/periods/<str:start>/credit", periods.PeriodCredit.as_view(), name="sla-credit"),
    path(
        "contracts/<uuid:contract_id>/periods/<str:start>/dispute", periods.PeriodDispute.as_view(), name="sla-dispute"
    ),
    path(
        "contracts/<uuid:contract_id>/periods/<str:start>/reject-dispute",
        periods.PeriodReject.as_view(),
        name="sla-reject-dispute",
    ),
    path("contracts/<uuid:contract_id>/periods/<str:start>/waive", periods.PeriodWaive.as_view(), name="sla-waive"),
    path("reports", report_views.ReportList.as_view(), name="sla-reports"),
    path("reports/<uuid:report_id>", report_views.ReportDetail.as_view(), name="sla-report"),
    path("reports/<uuid:report_id>/verify", report_views.ReportVerify.as_view(), name="sla-report-verify"),
    path("reports/<uuid:report_id>/files/<str:file_format>", report_views.ReportDownload.as_view(), name="sla-file"),
    path("status-pages", status_pages.StatusPageList.as_view(), name="sla-status-pages"),
    path("status-pages/<uuid:page_id>", status_pages.StatusPageDetail.as_view(), name="sla-status-page"),
    path("status-pages/<uuid:page_id>/incidents", status_pages.StatusIncidentList.as_view(), name="sla-incidents"),
    path(
        "status-pages/<uuid:page_id>/incidents/<uuid:incident_id>/updates",
        status_pages.StatusUpdateList.as_view(),
        name="sla-incident-updates",
    ),
]
