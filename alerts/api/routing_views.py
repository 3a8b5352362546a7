"""The routing tree over the API: routes, receivers, inhibit rules, time intervals, and whom a label set would reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from alerts.api import routing_shapes as shapes
from alerts.api.routing_shapes import (
    InhibitRuleBody,
    InhibitRuleState,
    LabelSet,
    ReceiverBody,
    ReceiverState,
    RouteState,
    RouteTermsBody,
    RouteTest,
    TimeIntervalBody,
    TimeIntervalState,
)
from alerts.models import InhibitRule, Receiver, Route, TimeInterval
from alerts.services import configuration
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView

READ, ADMIN = "alerts:read", "alerts:admin"
TAG = "routing"


class RouteList(WholeFleetView):
    """The routing tree."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_routes", "List routes", query=PageQuery, answers={200: CursorPage[RouteState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Every route with its own values, in the order in which they were made."""
        rows = Route.objects.select_related("receiver").prefetch_related("mute_intervals", "active_intervals")
        return _page(request, rows, shapes.route_state)

    @operation(
        "create_route", "Add a route", body=RouteTermsBody, answers={201: RouteState}, problems=(409,),
        idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Add a branch to the tree; alerts that fire are routed again at once."""
        wanted = decode(request, RouteTermsBody)
        return idempotent(request, lambda now: answer(shapes.route_state(shapes.save_route(wanted, now)), 201))


class RouteDetail(WholeFleetView):
    """One route."""

    required_scopes = {"GET": READ, "PUT": ADMIN, "DELETE": ADMIN}

    @operation("get_route", "Show a route", answers={200: RouteState}, tag=TAG)
    def get(self, request: Request, key: int) -> HttpResponse:
        """One route with its own values."""
        return answer(shapes.route_state(shapes.found(Route, key)))

    @operation(
        "change_route", "Change a route", body=RouteTermsBody, answers={200: RouteState}, problems=(409,), tag=TAG
    )
    def put(self, request: Request, key: int) -> HttpResponse:
        """Change a route. Groups that are open keep the labels they were made by until their alerts are over."""
        wanted = decode(request, RouteTermsBody)
        return answer(shapes.route_state(shapes.save_route(wanted, timezone.now(), shapes.found(Route, key))))

    @operation("remove_route", "Remove a route", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, key: int) -> HttpResponse:
        """Take a branch out; what is below it moves up. The root cannot be removed."""
        configuration.remove_route(shapes.found(Route, key), now=timezone.now())
        return HttpResponse(status=204)


class RouteTestView(WholeFleetView):
    """Whom would it reach?"""

    required_scopes = {"POST": READ}

    @operation("test_routes", "Ask whom a label set would reach", body=LabelSet, answers={200: RouteTest}, tag=TAG)
    def post(self, request: Request) -> HttpResponse:
        """Walk the tree with a label set and say which routes got it, and why the others did not. Tells nobody."""
        return answer(shapes.route_test(decode(request, LabelSet).labels, timezone.now()))


class ReceiverList(WholeFleetView):
    """Receivers."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_receivers", "List receivers", query=PageQuery, answers={200: CursorPage[ReceiverState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Every receiver."""
        return _page(request, Receiver.objects.prefetch_related("channels"), shapes.receiver_state)

    @operation(
        "create_receiver", "Add a receiver", body=ReceiverBody, answers={201: ReceiverState}, problems=(409,),
        idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Add a receiver; it gets nothing until a route names it."""
        wanted = decode(request, ReceiverBody)
        return idempotent(request, lambda now: answer(shapes.receiver_state(shapes.save_receiver(wanted, now)), 201))


class ReceiverDetail(WholeFleetView):
    """One receiver."""

    required_scopes = {"GET": READ, "PUT": ADMIN, "DELETE": ADMIN}

    @operation("get_receiver", "Show a receiver", answers={200: ReceiverState}, tag=TAG)
    def get(self, request: Request, key: int) -> HttpResponse:
        """One receiver."""
        return answer(shapes.receiver_state(shapes.found(Receiver, key)))

    @operation(
        "change_receiver", "Change a receiver", body=ReceiverBody, answers={200: ReceiverState}, problems=(409,),
        tag=TAG,
    )  # fmt: skip
    def put(self, request: Request, key: int) -> HttpResponse:
        """Change a receiver. A channel taken from it is told what ends, and nothing new."""
        wanted = decode(request, ReceiverBody)
        return answer(shapes.receiver_state(shapes.save_receiver(wanted, timezone.now(), shapes.found(Receiver, key))))

    @operation("remove_receiver", "Remove a receiver", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, key: int) -> HttpResponse:
        """Remove a receiver that no route names."""
        configuration.remove(shapes.found(Receiver, key), now=timezone.now())
        return HttpResponse(status=204)


class InhibitRuleList(WholeFleetView):
    """Inhibit rules."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation(
        "list_inhibit_rules", "List inhibit rules", query=PageQuery, answers={200: CursorPage[InhibitRuleState]},
        tag=TAG,
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Every inhibit rule."""
        return _page(request, InhibitRule.objects.all(), shapes.inhibit_rule_state)

    @operation(
        "create_inhibit_rule", "Add an inhibit rule", body=InhibitRuleBody, answers={201: InhibitRuleState},
        problems=(409,), idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Add an inhibit rule; it counts from the next flush on."""
        wanted = decode(request, InhibitRuleBody)
        return idempotent(
            request, lambda now: answer(shapes.inhibit_rule_state(shapes.save_inhibit_rule(wanted, now)), 201)
        )


class InhibitRuleDetail(WholeFleetView):
    """One inhibit rule."""

    required_scopes = {"GET": READ, "PUT": ADMIN, "DELETE": ADMIN}

    @operation("get_inhibit_rule", "Show an inhibit rule", answers={200: InhibitRuleState}, tag=TAG)
    def get(self, request: Request, key: int) -> HttpResponse:
        """One inhibit rule."""
        return answer(shapes.inhibit_rule_state(shapes.found(InhibitRule, key)))

    @operation(
        "change_inhibit_rule", "Change an inhibit rule", body=InhibitRuleBody, answers={200: InhibitRuleState},
        problems=(409,), tag=TAG,
    )  # fmt: skip
    def put(self, request: Request, key: int) -> HttpResponse:
        """Change an inhibit rule, or switch it off."""
        wanted = decode(request, InhibitRuleBody)
        return answer(
            shapes.inhibit_rule_state(shapes.save_inhibit_rule(wanted, timezone.now(), shapes.found(InhibitRule, key)))
        )

    @operation("remove_inhibit_rule", "Remove an inhibit rule", answers={204: None}, tag=TAG)
    def delete(self, request: Request, key: int) -> HttpResponse:
        """Remove an inhibit rule; what it hid is told of."""
        configuration.remove(shapes.found(InhibitRule, key), now=timezone.now())
        return HttpResponse(status=204)


class TimeIntervalList(WholeFleetView):
    """Time intervals."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation(
        "list_time_intervals", "List time intervals", query=PageQuery, answers={200: CursorPage[TimeIntervalState]},
        tag=TAG,
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Every time interval."""
        return _page(request, TimeInterval.objects.all(), shapes.interval_state)

    @operation(
        "create_time_interval", "Add a time interval", body=TimeIntervalBody, answers={201: TimeIntervalState},
        problems=(409,), idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Add a time interval for routes to be muted in or restricted to."""
        wanted = decode(request, TimeIntervalBody)
        return idempotent(request, lambda now: answer(shapes.interval_state(shapes.save_interval(wanted, now)), 201))


class TimeIntervalDetail(WholeFleetView):
    """One time interval."""

    required_scopes = {"GET": READ, "PUT": ADMIN, "DELETE": ADMIN}

    @operation("get_time_interval", "Show a time interval", answers={200: TimeIntervalState}, tag=TAG)
    def get(self, request: Request, key: int) -> HttpResponse:
        """One time interval."""
        return answer(shapes.interval_state(shapes.found(TimeInterval, key)))

    @operation(
        "change_time_interval", "Change a time interval", body=TimeIntervalBody, answers={200: TimeIntervalState},
        problems=(409,), tag=TAG,
    )  # fmt: skip
    def put(self, request: Request, key: int) -> HttpResponse:
        """Change a time interval."""
        wanted = decode(request, TimeIntervalBody)
        return answer(
            shapes.interval_state(shapes.save_interval(wanted, timezone.now(), shapes.found(TimeInterval, key)))
        )

    @operation("remove_time_interval", "Remove a time interval", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, key: int) -> HttpResponse:
        """Remove a time interval that no route uses."""
        configuration.remove(shapes.found(TimeInterval, key), now=timezone.now())
        return HttpResponse(status=204)


def _page(request: Request, rows: QuerySet[Any], show: Callable[[Any], Any]) -> HttpResponse:
    wanted = query(request, PageQuery)
    return answer(paginate(request, rows, page=wanted, order=Order(descending=False), show=show))
