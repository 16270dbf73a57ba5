"""A payment was taken twice and given back. An hour later the shop reported the same error again."""

from __future__ import annotations

from typing import Any


def test_an_error_that_is_reported_again_refunds_nothing_more(replay: Any) -> None:
    result = replay("tests/incidents/double_refund.jsonl")

    assert result.is_same, result.explain()
    assert sum(b"RefundIssued" in (m.value or b"") for each in result.same for m in each.decided.messages) == 1


def test_a_slice_of_a_version_that_did_not_keep_sources_is_decided_as_it_was_then(replay: Any) -> None:
    # Fulfilment did not react to verdicts then, root cause not to causes, and there was no bookkeeping.
    result = replay("tests/incidents/double_refund_of_version_1.jsonl", agents=["recovery"])

    assert result.is_same, result.explain()


def test_one_agent_alone_decides_as_it_did_among_the_others(replay: Any) -> None:
    result = replay("tests/incidents/double_refund.jsonl", agents=["recovery"])

    assert result.is_same, result.explain()
