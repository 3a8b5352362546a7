"""The attribute names under which instrumentations report generative AI usage, newest spelling first.

Sources: the OpenTelemetry GenAI semantic conventions (all of them still in development, so old and new names are
accepted side by side), OpenInference's `llm.*` names, and the cost attributes of several vendors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")

OPERATION = ("gen_ai.operation.name",)
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name", "llm.response.model")
REQUEST_MODEL = (
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.model_name",
    "embedding.model_name",
    "llm.request.model",
)
INPUT_TOKENS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
CACHE_READ_TOKENS = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE_TOKENS = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING_TOKENS = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
AUDIO_INPUT_TOKENS = ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio")
AUDIO_OUTPUT_TOKENS = ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio")
SERVICE_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
)
COST_AMOUNT = ("gen_ai.usage.cost.amount",)
COST_CURRENCY = ("gen_ai.usage.cost.currency",)
COST_SOURCE = ("gen_ai.usage.cost.source",)
# Attributes of vendors that are in US dollars by their own definition.
COST_IN_DOLLARS = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total", "operation.cost")
TOOL_NAME = ("gen_ai.tool.name", "tool.name")
SESSION = ("gen_ai.conversation.id", "session.id")
KIND_OF_SPAN = ("openinference.span.kind", "traceloop.span.kind")
AGENT_NAME = ("gen_ai.agent.name", "agent.name")
SERVICE = ("service.name",)
ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
MCP_METHOD = ("mcp.method.name",)

# Ours: what an instrumentation may say when it knows this platform.
OWN_ENTITY_TYPE = ("agent_factory.entity_type",)
OWN_ENTITY_ID = ("agent_factory.entity_id",)
OWN_RESERVATION = ("agent_factory.reservation_id",)
OWN_TAG_PREFIX = "agent_factory.tag."

NAMES: frozenset[str] = frozenset(
    name
    for names in (
        OPERATION,
        PROVIDER,
        RESPONSE_MODEL,
        REQUEST_MODEL,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        CACHE_READ_TOKENS,
        CACHE_WRITE_TOKENS,
        REASONING_TOKENS,
        AUDIO_INPUT_TOKENS,
        AUDIO_OUTPUT_TOKENS,
        SERVICE_TIER,
        COST_AMOUNT,
        COST_CURRENCY,
        COST_SOURCE,
        COST_IN_DOLLARS,
        TOOL_NAME,
        SESSION,
        KIND_OF_SPAN,
        AGENT_NAME,
        SERVICE,
        ENVIRONMENT,
        MCP_METHOD,
        OWN_ENTITY_TYPE,
        OWN_ENTITY_ID,
        OWN_RESERVATION,
    )
    for name in names
)

# Operations that call a model. Agent, workflow, planning, retrieval and memory spans contain such calls (or none):
# counting them as well would count the same tokens twice.
INFERENCE_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
TOOL_OPERATION = "execute_tool"
COST_TYPE_OF_KIND: Mapping[str, str] = {"llm": "llm_api", "embedding": "llm_api", "tool": "tool_usage"}

# What providers call their service levels; "auto" and "default" mean the standard price.
SERVICE_TIERS: Mapping[str, str] = {
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
}


def first(attributes: Mapping[str, Value], names: Iterable[str]) -> Value | None:
    """Return the value under the first of `names` that is present and not empty text."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None
