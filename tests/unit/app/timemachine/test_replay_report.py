"""Reports of a replay: complete as JSON, bounded as a page, and nothing anybody wrote is more than text in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes import NOON, history_of, paid
from replaying import recorded

from agents.engine.brain import RULES
from agents.engine.record import decision_record
from agents.model.decision import Verdict
from agents.replay.comparison import Comparison, HistoryKind, Kind
from agents.replay.totals import Totals
from agents.shop.fraud.rules import fraud
from app.timemachine.differences import difference
from app.timemachine.report import SHOWN, write_html, write_json
from outbox.records import DecisionRecord, Origin

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;"


def decision(event_id: str = "e1", **data: Any) -> DecisionRecord:
    event = paid(event_id, **data)
    history = history_of(event, paid("e0", timedelta(hours=1)))
    return decision_record(
        fraud,
        history,
        Verdict(decision=fraud.by_rules(history), brain=RULES),
        origin=Origin(topic="timeline-customer", partition=2, offset=17, at=NOON),
        entity_id="ada",
        decided_at=NOON,
    )


def compared(kind: Kind = Kind.CHANGED, event_id: str = "e1", **rest: Any) -> Comparison:
    values: dict[str, Any] = {
        "kind": kind,
        "agent": "fraud",
        "event_id": event_id,
        "event_type": "PaymentSucceeded",
        "entity_id": "ada",
        "topic": "timeline-customer",
        "partition": 2,
        "offset": 17,
        "history": HistoryKind.SAME,
    }
    return Comparison(**(values | rest))


def summary(different: int = 1, **rest: Any) -> Mapping[str, Any]:
    return {
        "same": different == 0,
        "decisions": 40,
        "different": different,
        "agents": {
            "fraud": {
                "same": 40 - different,
                "changed": different,
                "missing": 0,
                "new": 0,
                "history": {"same": 40, "differs": 0, "dropped": 0},
                "brains": {"rules": 40},
            }
        },
        "settings": {"decide": "recorded", "from": None},
        "log": [{"topic": "timeline-customer", "partition": 2, "first_offset": 1234, "end_offset": 5678}],
    } | rest


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_difference_has_both_sides_and_what_they_differ_in() -> None:
    now = decision()
    then = recorded(decision(amount_minor=999), outcome="review", messages=[])

    found = difference(compared(recorded=then, decided=now))

    assert found["differing"] == ["outcome", "messages"]
    assert (found["recorded"]["outcome"], found["replayed"]["outcome"]) == ("review", "approve")
    assert (found["recorded"]["status"], found["history"], found["offset"]) == ("committed", "same", 17)
    [message] = found["messages"]
    assert (message["recorded"], message["replayed"]["topic"]) == (None, "payments")
    assert message["replayed"]["value"]["type"] == "FraudScored"


def test_a_difference_says_what_of_the_code_is_another_one_now(tmp_path: Path) -> None:
    compare = compared(recorded=recorded(decision(), outcome="block"), decided=decision())
    assert difference(compare)["code_changed"] is None
    assert difference(compare, [])["code_changed"] == []
    found = difference(compare, ["rules", "settings.window"])
    assert found["code_changed"] == ["rules", "settings.window"]

    write_html(tmp_path / "page", summary(1), [orjson.dumps(found)])

    assert "recorded by other code: rules, settings.window" in Page(tmp_path / "page").text


def test_totals_say_how_many_differences_are_of_other_code() -> None:
    totals = Totals()
    changed = compared(recorded=recorded(decision(), outcome="block"), decided=decision())
    for code in (["rules"], ["rules", "release"], [], None):
        totals.add(changed, code)
    totals.add(compared(Kind.SAME, recorded=recorded(decision()), decided=decision()), ["rules"])

    kept = Totals.from_json(orjson.loads(orjson.dumps(totals.to_json())))

    assert kept.by_agent(["fraud"])["fraud"]["code"] == {"same": 1, "other": 2, "unknown": 1}
    assert Totals.from_json({"kinds": {}, "histories": {}, "brains": {}}).codes == {}


def test_a_message_that_is_the_same_is_not_told() -> None:
    now = decision()

    found = difference(compared(recorded=recorded(now, outcome="block"), decided=now))

    assert (found["differing"], found["messages"]) == (["outcome"], [])


def test_a_missing_decision_has_one_side() -> None:
    found = difference(compared(Kind.MISSING, recorded=recorded(decision()), history=None, problem="the agent failed"))

    assert (found["kind"], found["replayed"], found["problem"]) == ("missing", None, "the agent failed")


@pytest.mark.parametrize("count", [0, 1, SHOWN + 1])
def test_the_json_holds_every_difference(tmp_path: Path, count: int) -> None:
    lines = [orjson.dumps({"n": number, "text": HOSTILE}) for number in range(count)]

    write_json(tmp_path / "report.json", summary(count), iter(lines))

    found = orjson.loads((tmp_path / "report.json").read_bytes())
    assert [each["n"] for each in found["differences"]] == list(range(count))
    assert {**found, "differences": None} == {**summary(count), "differences": None}


def test_what_anybody_wrote_is_only_text_on_the_page(tmp_path: Path) -> None:
    now = decision(HOSTILE[:200], device_id=HOSTILE, country="DE")
    then = recorded(replace(now, outcome=HOSTILE, reason=HOSTILE, brain=HOSTILE, model=HOSTILE), status=HOSTILE)
    then = replace(then, messages=[replace(then.messages[0], id=HOSTILE, topic=HOSTILE, key=HOSTILE.encode())])
    hostile = compared(
        event_id=HOSTILE, event_type=HOSTILE, entity_id=HOSTILE, problem=HOSTILE, recorded=then, decided=now
    )
    told = {**difference(hostile), "topic": HOSTILE}
    plain = difference(compared(recorded=recorded(decision(), outcome="block"), decided=decision()))

    write_html(tmp_path / "page", summary(settings={HOSTILE: HOSTILE}), [orjson.dumps(told)])
    write_html(tmp_path / "harmless", summary(), [orjson.dumps(plain)])

    page, harmless = Page(tmp_path / "page"), Page(tmp_path / "harmless")
    assert (page.tags, page.attributes) == (harmless.tags, harmless.attributes)
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert page.text.count("<script>alert(1)</script>") >= 12


def test_the_page_says_where_the_log_begins_and_how_it_was_replayed(tmp_path: Path) -> None:
    write_html(tmp_path / "page", summary(0), [])

    page = Page(tmp_path / "page")
    assert "every decision is the same" in page.text
    assert "1,234" in page.text
    assert "recorded" in page.text


def test_the_page_shows_a_bounded_number_of_differences_and_says_so(tmp_path: Path) -> None:
    line = orjson.dumps(difference(compared(recorded=recorded(decision(), outcome="block"), decided=decision())))

    write_html(tmp_path / "page", summary(SHOWN + 1), [line] * (SHOWN + 1))

    page = Page(tmp_path / "page")
    assert page.text.count("changed: fraud on PaymentSucceeded e1") == SHOWN
    assert "The first 1,000 of 1,001 differences are shown here" in page.text


def test_a_long_text_is_cut_on_the_page(tmp_path: Path) -> None:
    line = orjson.dumps(difference(compared(recorded=recorded(decision(), reason="x" * 100_000), decided=decision())))

    write_html(tmp_path / "page", summary(), [line])

    assert "… (100,000 characters)" in Page(tmp_path / "page").text
    assert (tmp_path / "page").stat().st_size < 20_000
