"""Addresses below /api/v1/financial. None ends in a slash; the same address with one answers too."""

from __future__ import annotations

from django.urls import path

from costs.api import budgets, estimating, otlp, prices, recording, reservations, totals

urlpatterns = [
    path("costs", recording.CostList.as_view(), name="costs"),
    path("costs/estimate", estimating.CostEstimate.as_view(), name="cost-estimate"),
    path("costs:batch", recording.CostBatch.as_view(), name="cost-batch"),
    # An entity's id may hold slashes, so what follows it is matched first.
    path("costs/<str:entity_type>/<path:entity_id>/timeseries", totals.EntityCostSeries.as_view(), name="cost-series"),
    path("costs/<str:entity_type>/<path:entity_id>/breakdown", totals.EntityCostBreakdown.as_view(), name="cost-parts"),
    path("costs/<str:entity_type>/<path:entity_id>", totals.EntityCosts.as_view(), name="entity-costs"),
    path("budgets", budgets.BudgetList.as_view(), name="budgets"),
    path("budgets/check", reservations.SpendCheck.as_view(), name="budget-check"),
    path("budgets/<uuid:budget_id>", budgets.BudgetDetail.as_view(), name="budget"),
    path("budgets/<uuid:budget_id>/raise", budgets.BudgetRaise.as_view(), name="budget-raise"),
    path("reservations", reservations.ReservationList.as_view(), name="reservations"),
    path("reservations/<uuid:reservation_id>", reservations.ReservationDetail.as_view(), name="reservation"),
    path("reservations/<uuid:reservation_id>/settle", reservations.ReservationSettlement.as_view(), name="settle"),
    path("reservations/<uuid:reservation_id>/extend", reservations.ReservationExtension.as_view(), name="extend"),
    path("reservations/<uuid:reservation_id>/release", reservations.ReservationRelease.as_view(), name="release"),
    path("prices", prices.PriceList.as_view(), name="prices"),
    path("prices/resolve", prices.PriceResolution.as_view(), name="price-resolution"),
    path("otlp/v1/traces", otlp.OtlpTraces.as_view(), name="otlp-traces"),
]
