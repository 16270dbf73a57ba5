"""The table of `docs/fraud.md`: each case gets the verdict written for it, and the page says what the rules say."""

from __future__ import annotations

import pytest
from choosing import by_rules, fill
from fakes import history_of
from fraud_cases import CASES, Case, table
from shop_catalogue import AGENTS

from agents.model.errors import OutsidePolicy
from agents.shop.fraud.rules import fraud
from app.sandbox.worker_process import CHECKOUT

PAGE = CHECKOUT / "docs" / "fraud.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.told)
def test_a_case_is_judged_as_it_should_be(case: Case) -> None:
    scored = case.scored()

    assert (scored.verdict, scored.reasons) == (case.verdict, scored.reasons)


def test_there_are_cases_enough_and_no_two_are_told_alike() -> None:
    assert len({case.told for case in CASES}) == len(CASES) >= 40
    assert {case.honest for case in CASES} == {True, False}


def test_the_page_holds_the_table_and_its_totals_as_the_rules_decide() -> None:
    begin, end = "<!-- cases -->\n\n", "\n\n<!-- end of cases -->"

    written = PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]

    assert written == table()


@pytest.mark.parametrize("verdict", ["approve", "review", "block"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.told)
def test_no_model_blocks_what_the_rules_do_not_block_nor_approves_alone_what_they_doubt(
    case: Case, verdict: str
) -> None:
    history = history_of(case.payment, *case.earlier)
    rules = by_rules(fraud, case.payment, *case.earlier)
    form = fill(fraud, verdict=verdict, signs=["other"], confidence=1.0)

    try:
        decision = AGENTS["fraud"].by_choice(form, history, rules)
    except OutsidePolicy:
        decision = rules

    assert decision.outcome != "block" or rules.outcome == "block"
    milder = ["approve", "review", "block"].index(decision.outcome) < ["approve", "review", "block"].index(
        rules.outcome
    )
    assert (decision.hold is not None) == milder
