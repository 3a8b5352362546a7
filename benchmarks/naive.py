"""The habit to compare with: one event a request through a ModelSerializer, with Django's usual middleware."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework import generics, serializers

from costs.models import CostEvent


class CostEventSerializer(serializers.ModelSerializer[CostEvent]):
    """Every field, as generated."""

    class Meta:
        model = CostEvent
        fields = "__all__"


class CostEvents(generics.CreateAPIView[CostEvent]):
    """Create one event."""

    queryset = CostEvent.objects.all()
    serializer_class = CostEventSerializer
    authentication_classes = ()
    permission_classes = ()


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the server is up."""
    return HttpResponse("ok")


urlpatterns = [path("costs", CostEvents.as_view()), path("healthz", healthz)]
