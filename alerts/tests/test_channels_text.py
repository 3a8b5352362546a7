"""What channels make of a message: limits of each service kept, and nothing from outside with a meaning of its own."""

from __future__ import annotations

import json
from datetime import datetime
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives

from alerts.channels.email import composed
from alerts.channels.pagerduty import PagerDuty
from alerts.channels.protocol import Delivery, HttpChannel, Target, interpret, retry_after
from alerts.channels.slack import Slack
from alerts.channels.teams import Teams
from alerts.channels.webhook import Webhook, key_of, new_secret
from alerts.messages import Message, one_line, plain, shorten, shorten_utf16
from alerts.tests import services_of_others as services
from alerts.tests.delivering import alert, message
from core.outbound import Answer
from core.tests.listeners import Received

HTML = '<script>alert("x")</script><img src=x onerror=y>'
INJECTION = "title\r\nBcc: everybody@example.org\r\n\r\nbody"
LONG = "ü" * 10_000
EMOJI = "\U0001f525" * 5_000
MENTIONS = "<!channel> <@U123> @everyone *bold* [link](https://evil.example) & https://evil.example|x>"
SECRET = "whsec_" + "A" * 43 + "="
TARGETS: dict[str, Any] = {
    "slack": (Slack(), services.Slack(), {"url": "https://hooks.example/x"}, {}),
    "teams": (Teams(), services.Teams(), {"url": "https://teams.example/x"}, {}),
    "pagerduty": (PagerDuty(), services.PagerDuty(), {"routing_key": "R" * 32}, {}),
    "webhook": (Webhook(), services.Sink(SECRET), {"secrets": [SECRET]}, {"url": "https://sink.example/x"}),
}  # fmt: skip
NASTY = {"html": HTML, "injection": INJECTION, "long": LONG, "emoji": EMOJI, "mentions": MENTIONS}


def hostile(now: datetime, value: str, *, alerts: int = 60) -> Message:
    labels = {"alertname": value, "agent": value, value[:60]: value}
    rows = tuple(alert(now, **{**labels, "number": str(number)}) for number in range(alerts))
    kept = message(
        now, title=value, text=value, group_labels=labels, common_annotations={"summary": value}, alerts=rows,
        link="javascript:alert(1)", runbook=f"https://runbooks.example/{'r' * 100}",
    ).to_json()  # fmt: skip
    return Message.from_json(json.loads(json.dumps(kept)))


def rendered(kind: str, now: datetime, said: Message, **delivery: Any) -> Received:
    channel, _, secrets, config = TARGETS[kind]
    target = Target(kind, "receiver", config, secrets)
    sent = channel.render(target, Delivery("01a2-id", said, datetime.now(now.tzinfo), **delivery))
    return Received("POST", sent.url, {"content-type": "application/json", **sent.headers}, sent.body)


@pytest.mark.parametrize("value", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("kind", TARGETS)
def test_channel__a_hostile_message__keeps_to_the_documented_limits(now: datetime, kind: str, value: str) -> None:
    for alerts in (0, 1, 60, 200):
        request = rendered(kind, now, hostile(now, value, alerts=alerts), thread="group:1")

        assert TARGETS[kind][1].mistake(request) == ""
        assert b"javascript:" not in request.body or kind == "webhook"


def test_slack__text_from_outside__is_plain_text_or_escaped(now: datetime) -> None:
    body = json.loads(rendered("slack", now, hostile(now, MENTIONS)).body)

    formatted = [element for block in body["blocks"] for element in block.get("elements", [])]
    assert {block["text"]["type"] for block in body["blocks"] if "text" in block} == {"plain_text"}
    assert [element["text"] for element in formatted] == [f"<https://runbooks.example/{'r' * 100}|Runbook>"]
    assert "<" not in body["text"]
    assert "&lt;!channel&gt;" in body["text"]


def test_teams__text_from_outside__is_in_text_runs_only(now: datetime) -> None:
    card = json.loads(rendered("teams", now, hostile(now, MENTIONS, alerts=3)).body)["attachments"][0]["content"]

    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
    assert [action["title"] for action in card["actions"]] == ["Runbook"]


def test_email__labels_with_html_and_line_breaks__are_escaped_and_add_no_header(now: datetime) -> None:
    target = Target("email", "mail", {"addresses": ["a@example.org"]})
    mail = composed(target, Delivery("1", hostile(now, HTML + INJECTION), now, thread="group:1"), ["a@example.org"])

    parsed: Any = message_from_bytes(mail.message().as_bytes(), policy=policy.default)
    html = parsed.get_body(("html",)).get_content()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "javascript:" not in html
    assert parsed["Bcc"] is None
    assert len(parsed["Subject"]) <= 200


def test_email__of_one_group__has_stable_ids_in_one_thread(now: datetime, settings: Any) -> None:
    settings.PUBLIC_URL = "https://factory.example.org"
    target = Target("email", "mail", {"addresses": ["a@example.org"]})

    def sent(identifier: str) -> EmailMultiAlternatives:
        return composed(target, Delivery(identifier, message(now), now, thread="group:7"), ["a@example.org"])

    first, again, second = sent("1"), sent("1"), sent("2")

    assert first.message()["Message-ID"] == again.message()["Message-ID"] == "<1@factory.example.org>"
    assert second.message()["Message-ID"] == "<2@factory.example.org>"
    assert first.message()["References"] == second.message()["References"] == "<group.7.thread@factory.example.org>"
    assert first.alternatives[0][1] == "text/html"


def test_pagerduty__the_life_of_a_group__is_one_key(now: datetime) -> None:
    events = [
        json.loads(rendered("pagerduty", now, message(now, status, severity="high"), thread="group:7").body)
        for status in ("firing", "acknowledged", "resolved")
    ]

    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in events} == {"group:7"}
    assert events[0]["payload"]["severity"] == "error"
    assert "payload" not in events[2]


def test_pagerduty__a_long_key__is_still_one_of_255(now: datetime) -> None:
    keys = {
        json.loads(rendered("pagerduty", now, message(now), thread="g" * length).body)["dedup_key"]
        for length in (255, 256, 400)
    }

    assert {len(key) for key in keys} == {255, 64}
    assert len(keys) == 3


def test_webhook__body__is_what_receivers_of_alertmanager_read(now: datetime) -> None:
    over = message(now, "resolved", alerts=(alert(now),))
    body = json.loads(rendered("webhook", now, over, thread="group:7").body)

    assert (body["version"], body["status"], body["groupKey"], body["receiver"]) == (
        "4",
        "resolved",
        "group:7",
        "receiver",
    )
    assert body["alerts"][0]["startsAt"] == "2026-03-18T12:00:00Z"
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert body["commonLabels"] == {"agent": "support", "alertname": "HighErrorRate"}
    assert body["truncatedAlerts"] == 0


def test_webhook__while_secrets_are_rotated__verifies_with_either(now: datetime) -> None:
    old, new = new_secret(), new_secret()
    target = Target("webhook", "receiver", {"url": "https://sink.example"}, {"secrets": [new, old]})
    sent = Webhook().render(target, Delivery("1", message(now), datetime.now(now.tzinfo)))
    request = Received("POST", "/", dict(sent.headers), sent.body)

    assert [services.Sink(secret).mistake(request) for secret in (new, old)] == ["", ""]
    assert services.Sink(new_secret()).mistake(request).startswith("signature:")


@pytest.mark.parametrize(
    "secret", ["whsec_short", "whsec_" + "A" * 31, "A" * 44, "whsec_!!!", "", "whsec_" + "A" * 200]
)
def test_signing_secret__of_another_form__is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="Base64"):
        key_of(secret)


def test_message__kept_and_read_again__is_the_same(now: datetime) -> None:
    said = message(now, alerts=(alert(now), alert(now, "Other")), incident_number=7, note="n", alert_count=2)

    assert Message.from_json(json.loads(json.dumps(said.to_json()))) == said


def test_message__of_many_alerts_and_long_values__is_kept_short(now: datetime) -> None:
    kept = message(now, text=LONG, alerts=tuple(alert(now) for _ in range(500))).to_json()

    assert (len(kept["alerts"]), kept["alert_count"], len(kept["text"])) == (200, 500, 4000)


def test_text__with_control_characters__loses_them() -> None:
    assert one_line("a\r\nb\t\x00c\x1b[31m\u202ed\u2028e") == "a b c[31md e"
    assert plain("a\r\nb\x00\u202e\tc") == "a\nb\tc"


@pytest.mark.parametrize(("text", "most", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 0, "")])
def test_shorten__to_a_length__ends_in_an_ellipsis(text: str, most: int, short: str) -> None:
    assert shorten(text, most) == short
    assert shorten_utf16(text, most) == short


def test_shorten_utf16__never_cuts_a_pair_in_two() -> None:
    short = shorten_utf16("\U0001f525" * 10, 8)

    assert short == "\U0001f525" * 3 + "…"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "delivered"), (202, "delivered"), (204, "delivered"), (302, "final"), (400, "final"), (401, "gone"),
     (403, "final"), (404, "gone"), (408, "retry"), (410, "gone"), (413, "final"), (425, "retry"), (429, "retry"),
     (500, "retry"), (503, "retry"), (504, "retry")],
)  # fmt: skip
def test_answer__by_its_status__means(now: datetime, status: int, verdict: str) -> None:
    assert interpret(Answer(status, {}, b"", 1), at=now).verdict == verdict
    assert HttpChannel().interpret(Answer(status, {}, b"", 1), at=now).verdict == verdict


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("0", 0.0), ("", None), ("-5", None), ("1e9", None), ("soon", None), ("99999999", 86400.0),
     ("Wed, 18 Mar 2026 12:01:00 GMT", 60.0), ("Wed, 18 Mar 2026 11:00:00 GMT", 0.0), ("Wed, 99 Mar", None)],
)  # fmt: skip
def test_retry_after__in_either_form__is_seconds(now: datetime, value: str, seconds: float | None) -> None:
    assert retry_after(value, now) == seconds
