"""A model that was talked into anything, for every agent: nothing beyond policy happens, no word of it is published.

The forms are filled in every way that the forms admit; what policy refuses is decided by the rules.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from choosing import HOSTILE, by_rules, filled_by_chance, form_of, forms
from choreography import Choreography
from fakes import charged_back, failed, history_of, paid
from hypothesis import given
from hypothesis import strategies as st
from services import alarm, calls, slow, suggested
from services import deployed as deployed_to
from shop_catalogue import AGENTS, CHOOSERS, EVENT_TYPES
from stories import captured, error, label, moved, placed, priced, refunded, short
from test_choreography import SEEDS, story
from test_incident import broken, configured, deployed, unexplained
from test_recovery import scored, verdict

from agents.brains.schema import strict_schema
from agents.engine.brain import RULES
from agents.model.agent import Agent
from agents.model.choice import Choice
from agents.model.decision import Decision, Verdict
from agents.model.errors import OutsidePolicy
from agents.model.history import History
from agents.shop.events import DomainEvent
from agents.shop.refunds import Refund
from app.demo.scoring import score

CUSTOMER = [
    paid("p-1"),
    paid("p-2", order_id="o-2"),
    failed("failed", timedelta(minutes=5)),
    charged_back("back"),
]
ORDER = [
    placed(90), captured("paid", 60), captured("again", 45, "p-2"), short("short", 40), label("label", 38),
    moved("moved", 35, valid=False), priced("price", 70, 700, 900), refunded("theirs", 10, "p-1", 700), error(),
    scored("p-1", "block", "s-1"), scored("p-2", "approve", "s-2"), verdict("stock_shortage", "short", "v-1"),
    verdict("duplicate_capture", "again", "v-2"), verdict("price_changed", "price", "v-3"),
    verdict("fraud_blocked", "paid", "v-4"), verdict("label_failed", "label", "v-5"),
]  # fmt: skip
SERVICE = [
    deployed("d-1"),
    configured("c-1", 5),
    *(event for number in range(4) for event in unexplained(f"o-{number}", 10 + number)),
    broken("b-1", 12),
]
#: A service that calls two others, what they lost, and an error between.
CALLER = [
    calls("web", "api", "mail"), suggested("web", "api", 40), slow("web", 90), suggested("web", "mail", 30),
    alarm("web", 6), deployed_to("web", -5),
]  # fmt: skip
TIMELINES = {"customer": CUSTOMER, "order": ORDER, "service": SERVICE}


@pytest.mark.parametrize("name", CHOOSERS)
def test_every_agent_has_a_form_that_every_server_can_be_told(name: str) -> None:
    agent = AGENTS[name]
    assert agent.choosing is not None
    schema = strict_schema(agent.choosing.form)

    assert next(iter(schema["properties"])) == "rationale"
    assert list(schema["properties"]) == list(schema["required"])
    assert agent.choosing.on <= agent.reacts_to
    assert len(agent.choosing.task) > 100


@pytest.mark.parametrize("name", CHOOSERS)
@given(data=st.data())
def test_whatever_a_model_answers_nothing_beyond_policy_happens_and_no_word_of_it_is_published(
    name: str, data: st.DataObject
) -> None:
    agent = AGENTS[name]
    timeline = data.draw(st.permutations(CALLER if name == "cascade" else TIMELINES[agent.entity.name]))
    place = data.draw(st.sampled_from([place for place, each in enumerate(timeline) if each.type in agent.reacts_to]))
    event, earlier = timeline[place], [each for each in timeline[:place] if each.type in agent.remembers]
    rules = by_rules(agent, event, *earlier)
    choice = data.draw(forms(agent, [*(each.id for each in timeline), "api", "mail", "web"]))

    decision = decided(agent, choice, history_of(event, *earlier), rules)

    assert all(effect in rules.effects for effect in decision.effects)
    assert total(decision) <= sum(each.data["amount_minor"] for each in earlier if each.type == "PaymentSucceeded")
    assert [type(each) for each in decision.emit] in permitted(agent, rules)
    for event_published in (*decision.events, *decision.otherwise):
        assert HOSTILE[:20] not in event_published.model_dump_json()
    assert 0 <= decision.confidence <= 1


def decided(agent: Agent, choice: Choice, history: History, rules: Decision) -> Decision:
    """What a worker decides: the rules, where nothing is left open or the choice is outside policy."""
    if not agent.leaves_open(history, rules):
        return rules
    try:
        return agent.by_choice(choice, history, rules)
    except OutsidePolicy:
        return rules


def total(decision: Decision) -> int:
    return sum(effect.amount_minor for effect in decision.effects if isinstance(effect, Refund))


def permitted(agent: Agent, rules: Decision) -> list[list[type[DomainEvent]]]:
    """The types of what may be published in place of what the rules publish."""
    same = [type(each) for each in rules.emit]
    if agent.name == "root_cause":
        return [same, [EVENT_TYPES["RootCauseIdentified"]], [EVENT_TYPES["RootCauseSuspected"]]]
    return [same, [EVENT_TYPES["EscalationRequested"]]] if agent.name == "recovery" else [same]


@pytest.mark.parametrize("latency", [0, 3, 40])
def test_in_a_whole_shop_no_money_is_given_back_beyond_what_was_taken_and_the_books_balance(latency: int) -> None:
    """Without PostgreSQL's own constraints: what the agents derive of themselves holds, whatever a model answers."""
    told = story(SEEDS[0])
    # Seldom does chance name the one plan that recovery permits: here it does, at each latency.
    chance = Random(101)

    def by_chance(agent: Agent, history: History) -> Verdict:
        rules = agent.by_rules(history)
        if agent.name not in CHOOSERS:
            return Verdict(decision=rules, brain=RULES)
        choice = filled_by_chance(agent, [event.id for event in history.events()], chance)
        decision = decided(agent, choice, history, rules)
        return Verdict(decision=decision, brain=RULES if decision is rules else "chance", hold=decision.hold)

    ran = Choreography(latency=lambda _: latency, decide=by_chance).run(told.records)

    result = score(truth=told.truth, captures=told.captures, published=ran.published)
    assert (result.ledger_balanced, result.refunds_over_captures) == (True, 0), result.money_mistakes
    assert HOSTILE[:20] not in str(ran.published)
    deciders = {(agent, record.brain) for (agent, _), record in ran.decisions.items()}
    # Of what is answered by chance about causes and recoveries next to nothing is permitted; and nothing is measured.
    heard = {agent for agent, brain in deciders if brain == "chance"}
    assert set(CHOOSERS) - {"cascade", "root_cause", "recovery"} <= heard <= set(CHOOSERS)
    assert any(record.hold for record in ran.decisions.values())


@pytest.mark.parametrize("name", CHOOSERS)
def test_a_rationale_cannot_forge_a_second_line(name: str) -> None:
    form = form_of(AGENTS[name])
    choice = filled_by_chance(AGENTS[name], ["e-1"], Random(1)).model_dump(mode="json") | {
        "rationale": "a\n\x1b[2J\u202eb"
    }

    assert form.model_validate(choice, strict=False).rationale == "a [2J b"
