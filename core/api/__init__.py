"""What every API view is made of.

A view names its scopes, documents its operation with structs, decodes, calls one service and answers::

    from core.api.authentication import caller
    from core.api.decoding import decode
    from core.api.idempotency import idempotent
    from core.api.parameters import query
    from core.api.rendering import answer
    from core.api.schema import operation
    from core.api.views import ApiView

    class BudgetList(ApiView):
        required_scopes = {"GET": "budgets:read", "POST": "budgets:write"}

        @operation("create_budget", "Create a budget", body=NewBudget, answers={201: BudgetCreated}, problems=(409,))
        def post(self, request: Request) -> HttpResponse:
            wanted = decode(request, NewBudget)
            caller(request).require_entity(wanted.entity_type, wanted.entity_id)
            return idempotent(request, lambda now: answer(created(services.create_budget(wanted, now=now)), 201))

Services refuse with the exceptions of `core.errors`; they become problem documents (RFC 9457) by themselves.
"""
