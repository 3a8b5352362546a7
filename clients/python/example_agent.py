"""An agent at work: it asks before it spends, calls a model and a tool, and reports what they cost.

    make example

creates a key for it and runs it; with AGENT_FACTORY_URL and AGENT_FACTORY_KEY set, so does this file by itself.

The model is a stand-in that answers with the token usage of a real response, so no provider's account is needed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from agent_factory import AgentFactoryError, BudgetExceededError, Client

MODELS = ("gpt-4o-mini", "gpt-4o")


@dataclass
class Usage:
    """Token usage as a chat completion reports it."""

    prompt_tokens: int
    completion_tokens: int


@dataclass
class Response:
    """What a model answers, as far as it matters here."""

    model: str
    usage: Usage


def call_model(model: str, question: str, chance: random.Random) -> Response:
    """Stand in for a provider's client."""
    return Response(model, Usage(len(question.split()) * 40 + chance.randrange(200, 900), chance.randrange(50, 400)))


def work(client: Client, entity: str, steps: int, chance: random.Random) -> int:
    """Answer `steps` questions within the budget; return how many were answered before it was used up."""
    for step in range(steps):
        model, question = chance.choice(MODELS), f"Summarise document {step} in three sentences, please"
        try:
            with client.budget(
                entity, provider="openai", model=model, input_tokens=1400, max_output_tokens=400
            ) as hold:
                hold.settle(call_model(model, question, chance))
        except BudgetExceededError as refusal:
            print(f"step {step}: refused, {refusal.problem.get('detail')}")
            return step
        client.record_cost(entity, cost_type="tool_usage", amount=Decimal("0.0005"), tags={"tool": "web_search"})
    return steps


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent once and print what the platform knows of it afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entity", default="agent:example", help="who spends, TYPE:ID")
    parser.add_argument("--steps", type=int, default=20, help="how many questions to answer")
    parser.add_argument("--budget", default="1.00", help="hard monthly budget to create, in the base currency")
    parser.add_argument("--seed", type=int, default=1, help="makes the run repeatable")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)  # noqa: S311  # sample data, no secret
    try:
        with Client() as client:
            key = f"example {options.entity} {options.budget}"  # the same arguments find the same budget again
            budget = client.create_budget(
                "Example agent", options.entity, options.budget, key=key, mode="hard", alert_threshold="0.8"
            )
            answered = work(client, options.entity, options.steps, chance)
            client.flush()
            report(client, options.entity, budget, answered)
    except (AgentFactoryError, ValueError) as error:
        print(f"example agent: {error}", file=sys.stderr)
        return 1
    return 0


def report(client: Client, entity: str, budget: str, answered: int) -> None:
    """Print what was spent and what is left."""
    today = datetime.now(UTC)
    start, end = (today - timedelta(days=1)).isoformat(), (today + timedelta(days=1)).isoformat()
    costs = client.costs(entity, start_date=start, end_date=end)
    status = client.budget_status(budget)
    print(f"answered {answered} questions as {entity}")
    print(f"spent {costs['total_cost']} {costs['currency']}: {costs['breakdown']}")
    print(f"budget {status['budget_amount']}, used {status['usage_percent']} %, left {status['remaining']}")


if __name__ == "__main__":
    raise SystemExit(main())
