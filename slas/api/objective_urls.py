"""Addresses of services, indicators, objectives, exclusions, policies and freezes."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from slas.api import events, exclusions, policies, services, slos

urlpatterns: list[URLPattern | URLResolver] = [
    path("services", services.ServiceList.as_view(), name="services"),
    path("services/<uuid:service_id>", services.ServiceDetail.as_view(), name="service"),
    path("services/<uuid:service_id>/templates", services.ServiceTemplates.as_view(), name="service-templates"),
    path("templates", services.TemplateList.as_view(), name="slo-templates"),
    path("slis", services.SliList.as_view(), name="slis"),
    path("slis/<uuid:sli_id>", services.SliDetail.as_view(), name="sli"),
    path("slis/<uuid:sli_id>/events", events.SliEvents.as_view(), name="sli-events"),
    path("slos", slos.SloList.as_view(), name="slos"),
    path("slos/<uuid:slo_id>", slos.SloDetail.as_view(), name="slo"),
    path("slos/<uuid:slo_id>/status", slos.SloStatusView.as_view(), name="slo-status"),
    path("slos/<uuid:slo_id>/burn", slos.SloBurn.as_view(), name="slo-burn"),
    path("slos/<uuid:slo_id>/history", slos.SloHistory.as_view(), name="slo-history"),
    path("exclusions", exclusions.ExclusionList.as_view(), name="exclusions"),
    path("exclusions/<uuid:exclusion_id>", exclusions.ExclusionDetail.as_view(), name="exclusion"),
    path("exclusions/<uuid:exclusion_id>/withdraw", exclusions.ExclusionWithdraw.as_view(), name="exclusion-withdraw"),
    path("policies", policies.PolicyList.as_view(), name="budget-policies"),
    path("policies/<slug:slug>", policies.PolicyDetail.as_view(), name="budget-policy"),
    path("freezes", policies.FreezeList.as_view(), name="freezes"),
    path("freezes/<uuid:freeze_id>/lift", policies.FreezeLiftView.as_view(), name="freeze-lift"),
]
