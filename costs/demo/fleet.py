"""The invented organisation: cost centres, teams, agents, what each of them uses and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Center:
    """A cost centre and its account in the general ledger."""

    code: str
    name: str
    gl_account: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team, and where its spending is booked."""

    key: str
    name: str
    center: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model an agent calls: its share of the calls and the tokens of a typical one (thousands, whole numbers)."""

    provider: str
    model: str
    share: int
    input_tokens: int
    output_tokens: int
    cached: float = 0.0
    cost_type: str = "llm_api"
    tier: str = "standard"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Something an agent pays for besides models: a typical amount in a currency, and how often per run."""

    cost_type: str
    provider: str
    amount: Decimal
    rate: float
    meter: str
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Worker:
    """An agent or workflow: its team, runs on a working day, and what a run uses."""

    entity_type: str
    key: str
    name: str
    team: str
    runs: int
    models: tuple[ModelUse, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    growth: float = 0.004
    weekend: float = 0.3
    tags: dict[str, str] = field(default_factory=dict)


CENTERS = (
    Center("CC-1100", "Customer care", "6410"),
    Center("CC-2100", "Product engineering", "6420"),
    Center("CC-3100", "Marketing", "6430"),
    Center("CC-4100", "Data and analytics", "6440"),
)
TEAMS = (
    Team("demo-customer-care", "Customer care", "CC-1100"),
    Team("demo-engineering", "Engineering", "CC-2100"),
    Team("demo-growth", "Growth", "CC-3100"),
    Team("demo-data", "Data platform", "CC-4100"),
    Team("demo-europe", "Operations Europe", "CC-1100"),
)

SONNET = ("anthropic", "claude-sonnet-4-5")
HAIKU = ("anthropic", "claude-haiku-4-5")
GPT = ("openai", "gpt-5.1")
GPT_MINI = ("openai", "gpt-5-mini")
EMBEDDING = ("openai", "text-embedding-3-small")
FLASH = ("google", "gemini-2.5-flash")
MISTRAL = ("mistral", "mistral-large-2512")
UNPRICED = ("acme-ai", "acme-reasoner-2-preview")

SEARCH = ToolUse("tool_usage", "web-search", Decimal("0.005"), 0.5, "calls")
BROWSER = ToolUse("compute", "browser-farm", Decimal("0.0125"), 0.4, "minutes")
SANDBOX = ToolUse("compute", "sandbox", Decimal("0.031"), 0.6, "minutes")
REVIEW = ToolUse("human_review", "review-desk", Decimal("0.45"), 0.09, "minutes")
TRANSLATION = ToolUse("tool_usage", "uebersetzer-gmbh", Decimal("0.021"), 0.7, "characters", "EUR")
TELEPHONY = ToolUse("bandwidth", "telephony", Decimal("0.0085"), 0.8, "minutes", "EUR")

WORKERS = (
    Worker(
        "agent", "demo-support-triage", "Support triage", "demo-customer-care", 34,
        (ModelUse(*HAIKU, 70, 9, 1, 0.6), ModelUse(*FLASH, 30, 7, 1)),
        tags={"feature": "triage"},
    ),
    Worker(
        "agent", "demo-support-chat", "Support chat", "demo-customer-care", 40,
        (ModelUse(*SONNET, 55, 42, 4, 0.7), ModelUse(*GPT_MINI, 45, 30, 3, 0.5)), (REVIEW,),
        tags={"feature": "chat"},
    ),
    Worker(
        "agent", "demo-refund-clerk", "Refund clerk", "demo-customer-care", 9,
        (ModelUse(*GPT, 100, 26, 3, 0.4),), (REVIEW,), tags={"feature": "refunds"},
    ),
    Worker(
        "agent", "demo-code-reviewer", "Code reviewer", "demo-engineering", 22,
        (ModelUse(*SONNET, 80, 180, 9, 0.75), ModelUse(*HAIKU, 20, 60, 3, 0.5)), (SANDBOX,), growth=0.007,
        weekend=0.12, tags={"feature": "review"},
    ),
    Worker(
        "agent", "demo-test-writer", "Test writer", "demo-engineering", 12,
        (ModelUse(*GPT, 70, 140, 18, 0.6), ModelUse(*UNPRICED, 30, 90, 10)), (SANDBOX,), weekend=0.1,
        tags={"feature": "tests"},
    ),
    Worker(
        "agent", "demo-incident-helper", "Incident helper", "demo-engineering", 5,
        (ModelUse(*SONNET, 100, 95, 6, 0.5),), (SEARCH,), weekend=1.0, tags={"feature": "incidents"},
    ),
    Worker(
        "agent", "demo-campaign-writer", "Campaign writer", "demo-growth", 12,
        (ModelUse(*GPT, 60, 12, 7), ModelUse(*GPT_MINI, 40, 10, 6)), (SEARCH,), weekend=0.05,
        tags={"feature": "campaigns"},
    ),
    Worker(
        "agent", "demo-market-researcher", "Market researcher", "demo-growth", 8,
        (ModelUse(*FLASH, 100, 120, 6),), (SEARCH, BROWSER), growth=0.009, tags={"feature": "research"},
    ),
    Worker(
        "agent", "demo-document-extractor", "Document extractor", "demo-data", 30,
        (ModelUse(*FLASH, 60, 48, 3), ModelUse(*HAIKU, 40, 40, 3, tier="batch")), weekend=0.6,
        tags={"feature": "extraction"},
    ),
    Worker(
        "workflow", "demo-nightly-index", "Nightly index", "demo-data", 14,
        (ModelUse(*EMBEDDING, 100, 900, 0, cost_type="embedding"),), weekend=1.0, tags={"feature": "search"},
    ),
    Worker(
        "agent", "demo-sql-analyst", "SQL analyst", "demo-data", 11,
        (ModelUse(*GPT, 50, 55, 4, 0.5), ModelUse(*SONNET, 50, 50, 4, 0.6)), weekend=0.1,
        tags={"feature": "analysis"},
    ),
    Worker(
        "agent", "demo-europe-voice", "Voice desk Europe", "demo-europe", 16,
        (ModelUse(*MISTRAL, 100, 14, 2),), (TRANSLATION, TELEPHONY), weekend=0.4, tags={"feature": "voice"},
    ),
)  # fmt: skip

# The one that went wrong: for some hours an agent called itself in circles.
ANOMALY_WORKER = "demo-code-reviewer"
ANOMALY_DAYS_AGO = 12
ANOMALY_FACTOR = 6
