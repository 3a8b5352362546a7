"""What a span of an instrumentation becomes: one cost, nothing, or a refusal with its reason."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costs.inputs import CostItem, Rejected
from costs.otlp.mapping import EntityRules, Reading, entity_order, read_span, read_spans
from costs.otlp.spans import KIND_SERVER, Span

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
STARTED = int(datetime(2026, 11, 20, 10, 0, tzinfo=UTC).timestamp()) * 10**9
RULES = EntityRules(entity_order(["gen_ai.agent.id", "gen_ai.agent.name", "enduser.id=user", "service.name"]))
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 300,
}
RESOURCE = {"service.name": "support"}


def span(attributes: dict[str, Any], **changes: Any) -> Span:
    values: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "name": "chat gpt-4o",
        "kind": 3,
        "start_ns": STARTED,
        "end_ns": STARTED + 1_500_000_000,
        "failed": False,
        "attributes": attributes,
        "resource": RESOURCE,
    }
    return Span(**(values | changes))


def cost_of(attributes: dict[str, Any], rules: EntityRules = RULES, **changes: Any) -> CostItem:
    item = read_span(span(attributes, **changes), rules)
    assert isinstance(item, CostItem), item
    return item


def refusal_of(attributes: dict[str, Any], rules: EntityRules = RULES, **changes: Any) -> tuple[str, str]:
    item = read_span(span(attributes, **changes), rules)
    assert isinstance(item, Rejected), item
    return item.errors[0].pointer, item.errors[0].detail


def test_chat_span__current_names__becomes_a_cost_of_the_model_that_answered() -> None:
    item = cost_of(CHAT | {"gen_ai.conversation.id": "c-7"})

    assert (item.cost_type, item.provider, item.model) == ("llm_api", "openai", "gpt-4o-2024-08-06")
    assert (item.input_tokens, item.output_tokens, item.amount) == (1200, 300, None)
    assert item.occurred_at == datetime(2026, 11, 20, 10, 0, 1, 500_000, tzinfo=UTC)
    assert item.idempotency_key == f"{TRACE}:{SPAN}"
    assert (item.trace_id, item.span_id, item.session_id) == (TRACE, SPAN, "c-7")
    assert item.metadata == {"request_model": "gpt-4o", "span": "chat gpt-4o"}


OLD_NAMES = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.prompt_tokens": 10,
    "gen_ai.usage.completion_tokens": 4,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "anthropic",
    "llm.model_name": "claude-sonnet-4-5",
    "llm.token_count.prompt": 10,
    "llm.token_count.completion": 4,
}
OPENLLMETRY = {
    "gen_ai.system": "Anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "llm.usage.prompt_tokens": "10",
    "llm.usage.completion_tokens": "4",
}


@pytest.mark.parametrize(
    ("attributes", "provider", "model"),
    [
        (OLD_NAMES, "openai", "gpt-4o"),
        (OPENINFERENCE, "anthropic", "claude-sonnet-4-5"),
        (OPENLLMETRY, "anthropic", "claude-sonnet-4-5"),
    ],
    ids=["old", "openinference", "openllmetry"],
)
def test_chat_span__other_spellings__reads_the_same_usage(
    attributes: dict[str, Any], provider: str, model: str
) -> None:
    item = cost_of(attributes)

    assert (item.cost_type, item.provider, item.model) == ("llm_api", provider, model)
    assert (item.input_tokens, item.output_tokens) == (10, 4)


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings"])
def test_model_span__each_operation_that_calls_a_model__is_an_llm_cost(operation: str) -> None:
    assert cost_of(CHAT | {"gen_ai.operation.name": operation}).cost_type == "llm_api"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "GET"},
        CHAT | {"gen_ai.operation.name": "invoke_agent"},
        CHAT | {"gen_ai.operation.name": "invoke_workflow"},
        CHAT | {"gen_ai.operation.name": "create_agent"},
        CHAT | {"gen_ai.operation.name": "retrieval"},
        CHAT | {"gen_ai.operation.name": "plan"},
        OPENINFERENCE | {"openinference.span.kind": "AGENT"},
        OPENINFERENCE | {"openinference.span.kind": "CHAIN"},
        {"gen_ai.request.model": "gpt-4o", "traceloop.span.kind": "workflow", "gen_ai.usage.input_tokens": 5},
    ],
)
def test_span__not_one_call_of_a_model_or_tool__is_ignored(attributes: dict[str, Any]) -> None:
    assert read_span(span(attributes), RULES) is None


def test_chat_span__cache_reasoning_and_audio__are_taken_as_parts_of_the_totals() -> None:
    item = cost_of(
        CHAT
        | {
            "gen_ai.usage.cache_read.input_tokens": 800,
            "gen_ai.usage.cache_creation.input_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 250,
            "gen_ai.usage.audio.input_tokens": 7,
        }
    )

    assert (item.input_tokens, item.cache_read_tokens, item.cache_write_tokens) == (1200, 800, 100)
    assert (item.output_tokens, item.reasoning_tokens, item.audio_input_tokens) == (300, 250, 7)


def test_chat_span__more_cached_than_input__is_read_as_input_without_the_cached_part() -> None:
    item = cost_of(CHAT | {"gen_ai.usage.input_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 1000})

    assert (item.input_tokens, item.cache_read_tokens) == (1020, 1000)
    assert item.metadata["input_tokens_stated"] == "20"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gcp.vertex_ai", "google"), ("aws.bedrock", "aws"), ("azure.ai.openai", "azure"), ("x_ai", "x-ai")],
)
def test_chat_span__provider_with_another_name_in_the_price_book__is_translated(name: str, expected: str) -> None:
    assert cost_of(CHAT | {"gen_ai.provider.name": name}).provider == expected


@pytest.mark.parametrize(
    ("stated", "tier"), [("default", "standard"), ("flex", "flex"), ("priority", "priority"), ("scale", "standard")]
)
def test_chat_span__service_tier__is_the_one_that_prices_know(stated: str, tier: str) -> None:
    assert cost_of(CHAT | {"openai.response.service_tier": stated}).service_tier == tier


def test_chat_span__cost_from_the_provider__is_the_reported_amount() -> None:
    item = cost_of(
        CHAT
        | {
            "gen_ai.usage.cost.amount": 0.1 + 0.2,
            "gen_ai.usage.cost.currency": "eur",
            "gen_ai.usage.cost.source": "provider",
        }
    )

    assert (item.amount, item.currency) == (Decimal("0.300000000000"), "EUR")


def test_chat_span__cost_worked_out_by_the_sender__is_kept_beside_and_left_to_the_price_book() -> None:
    item = cost_of(
        CHAT
        | {
            "gen_ai.usage.cost.amount": 0.0042,
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "local",
        }
    )

    assert item.amount is None
    assert item.metadata["cost_stated_by_sender"] == "0.0042 USD"


@pytest.mark.parametrize("name", ["gen_ai.usage.cost", "llm.cost.total", "operation.cost"])
def test_chat_span__cost_attribute_of_a_vendor__is_in_dollars(name: str) -> None:
    item = cost_of(CHAT | {name: 0.0042})

    assert (item.amount, item.currency) == (Decimal("0.0042"), "USD")


def test_tool_span__has_calls_and_seconds() -> None:
    item = cost_of({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "web_search"}, name="execute_tool x")

    assert (item.cost_type, item.provider, item.model) == ("tool_usage", "tool", "web_search")
    assert item.quantities == {"calls": Decimal(1), "duration_seconds": Decimal("1.5")}
    assert item.amount is None


def test_tool_span__server_side_of_an_mcp_call__is_not_counted_again() -> None:
    attributes = {"gen_ai.operation.name": "execute_tool", "mcp.method.name": "tools/call"}

    assert read_span(span(attributes, kind=KIND_SERVER), RULES) is None
    assert read_span(span(attributes), RULES) is not None


@pytest.mark.parametrize(
    ("attributes", "resource", "entity"),
    [
        ({"gen_ai.agent.id": "a-1", "gen_ai.agent.name": "Ann"}, RESOURCE, ("agent", "a-1")),
        ({"gen_ai.agent.name": "Ann"}, RESOURCE, ("agent", "Ann")),
        ({"enduser.id": "u-1"}, RESOURCE, ("user", "u-1")),
        ({}, RESOURCE, ("agent", "support")),
        ({}, RESOURCE | {"gen_ai.agent.id": "from-resource"}, ("agent", "from-resource")),
        ({"agent_factory.entity_id": "w", "agent_factory.entity_type": "workflow"}, RESOURCE, ("workflow", "w")),
    ],
)
def test_entity__is_the_first_attribute_of_the_order(
    attributes: dict[str, Any], resource: dict[str, Any], entity: tuple[str, str]
) -> None:
    item = cost_of(CHAT | attributes, resource=resource)

    assert (item.entity_type, item.entity_id) == entity


def test_entity__key_bound_to_one__pays_whatever_the_span_says() -> None:
    item = cost_of(CHAT | {"gen_ai.agent.id": "other"}, EntityRules(RULES.order, bound=("agent", "mine")))

    assert (item.entity_type, item.entity_id) == ("agent", "mine")


def test_tags__come_from_service_environment_agent_and_our_own_prefix() -> None:
    attributes = {"gen_ai.agent.name": "Ann", "agent_factory.tag.team": "blue"}
    resource = {"service.name": "support", "deployment.environment.name": "prod", "agent_factory.tag.team": "red"}

    item = cost_of(CHAT | attributes, resource=resource)

    assert item.tags == {"service": "support", "environment": "prod", "agent": "Ann", "team": "blue"}


def test_failed_call__without_usage__costs_nothing_and_with_usage_what_it_used() -> None:
    without = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}

    assert read_span(span(without, failed=True), RULES) is None
    assert cost_of(CHAT, failed=True).metadata["status"] == "error"


@pytest.mark.parametrize(
    ("attributes", "changes", "pointer"),
    [
        ({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, {}, "/gen_ai.usage.input_tokens"),
        (CHAT | {"gen_ai.usage.output_tokens": -1}, {}, "/gen_ai.usage.output_tokens"),
        (CHAT | {"gen_ai.usage.output_tokens": "many"}, {}, "/gen_ai.usage.output_tokens"),
        (CHAT | {"gen_ai.usage.output_tokens": 1.5}, {}, "/gen_ai.usage.output_tokens"),
        (CHAT | {"gen_ai.usage.output_tokens": float("nan")}, {}, "/gen_ai.usage.output_tokens"),
        (CHAT | {"gen_ai.usage.cost.amount": float("inf")}, {}, "/gen_ai.usage.cost.amount"),
        (CHAT | {"gen_ai.usage.cost.amount": "1e400"}, {}, "/gen_ai.usage.cost.amount"),
        (CHAT, {"resource": {}}, "/agent_factory.entity_id"),
        (CHAT, {"trace_id": "0" * 32}, "/traceId"),
        (CHAT, {"trace_id": "x" * 32}, "/traceId"),
        (CHAT, {"span_id": ""}, "/spanId"),
        (CHAT, {"start_ns": 0, "end_ns": 0}, "/endTimeUnixNano"),
        (CHAT, {"end_ns": 2**64 * 10**6}, "/endTimeUnixNano"),
        (CHAT | {"agent_factory.reservation_id": "no"}, {}, "/reservation_id"),
        (CHAT | {"gen_ai.response.model": "m" * 161}, {}, "/model"),
    ],
)
def test_span__cost_that_cannot_be_read__is_refused_at_the_attribute(
    attributes: dict[str, Any], changes: dict[str, Any], pointer: str
) -> None:
    assert refusal_of(attributes, **changes)[0] == pointer


def test_export__mixed_spans__keeps_their_order_and_counts_the_rest() -> None:
    spans = [span({}), span(CHAT), span({"a": 1}), span(CHAT | {"gen_ai.usage.input_tokens": -1})]

    reading = read_spans(spans, RULES)

    assert isinstance(reading, Reading)
    assert [type(item) for item in reading.items] == [CostItem, Rejected]
    assert reading.ignored == 2
