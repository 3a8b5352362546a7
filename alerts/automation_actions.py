"""What alerts can do by themselves when one fires: call a webhook, signed by the secrets of one of the channels."""

from __future__ import annotations

import json
from collections.abc import Mapping

from core import outbound
from core.errors import Invalid, Missing
from core.ports.automation import Argument, AutomationAction, Occasion, TryAgain, automation_actions

RETRIABLE = frozenset({408, 425, 429})


def call_webhook(arguments: Mapping[str, str], occasion: Occasion) -> str:
    """Post the alert to the address of a webhook channel; `webhook-id` is the run's and the same at every attempt.

    Raises Missing without such a channel, Invalid for an answer that will stay, TryAgain for one that may change.
    """
    from alerts.channels import target_of_channel
    from alerts.channels.webhook import signed
    from alerts.models import Channel

    channel = Channel.objects.filter(name=arguments["channel"], kind="webhook").first()
    if channel is None:
        raise Missing(f"there is no webhook channel {arguments['channel']}")
    if occasion.dry_run:
        return f"would call the webhook “{channel.name}”"
    target = target_of_channel(channel)
    body = json.dumps(_content(arguments, occasion), ensure_ascii=False, sort_keys=True).encode()
    headers = signed(str(occasion.run_id), occasion.now, body, list(target.secrets.get("secrets") or []))
    address = str(target.config.get("url") or target.secrets.get("url"))
    try:
        answer = outbound.request(
            "POST", address, headers={**headers, "Content-Type": "application/json"}, body=body, timeout=15
        )
    except outbound.Refused as refused:
        raise Invalid(target.scrubbed(f"the address may not be called: {refused}")) from refused
    except outbound.Unreachable as silent:
        raise TryAgain(target.scrubbed(f"nobody answered: {silent}")) from silent
    if answer.status >= 500 or answer.status in RETRIABLE:
        raise TryAgain(f"it answered {answer.status}")
    if answer.status >= 300:
        raise Invalid(f"it answered {answer.status}")
    return f"called “{channel.name}”, which answered {answer.status}"


def _content(arguments: Mapping[str, str], occasion: Occasion) -> dict[str, object]:
    return {
        "type": "alert.automation",
        "id": str(occasion.run_id),
        "timestamp": occasion.now.isoformat(),
        "event": arguments["event"],
        "labels": dict(occasion.labels),
        "annotations": dict(occasion.annotations),
        "severity": occasion.severity,
        "link": occasion.link,
    }


def register() -> None:
    """Offer the actions; called once, from the app's ready()."""
    automation_actions.register(
        AutomationAction(
            name="alerts.webhook",
            title="Call a webhook",
            description="Posts the alert to a webhook channel, with the run's id as webhook-id.",
            arguments=(
                Argument("channel", "Webhook channel", help="The name of a channel of kind signed webhook."),
                Argument(
                    "event", "Event", required=False, default="alert", help="Handed on, so that it can be told apart."
                ),
            ),
            permission="alerts.change_channel",
            run=call_webhook,
            atomic=False,
        )
    )
