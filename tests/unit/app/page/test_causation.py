"""Lines between causes and what followed from them, beside the rows of a list."""

from __future__ import annotations

from app.page.causation import MOST_LANES, rails


def test_a_line_leaves_its_cause_passes_others_and_bends_into_the_effect() -> None:
    cause, between, effect = rails(["a", "b", "c"], [("a", "c")])

    assert (cause.width, cause.dot) == (28, 20)
    assert (cause.bends, cause.lines) == (["M20 16Q10 16 10 32"], [10])
    assert (between.bends, between.lines) == (["M10 0V32"], [10])
    assert (effect.bends, effect.lines) == (["M10 0Q10 16 20 16"], [])


def test_all_effects_of_one_cause_hang_on_one_line() -> None:
    drawn = rails(["a", "b", "c"], [("a", "b"), ("a", "c")])

    assert {rail.width for rail in drawn} == {28}
    assert drawn[1].bends == ["M10 0Q10 16 20 16", "M10 0V32"]


def test_a_line_that_has_ended_gives_its_place_to_the_next_cause() -> None:
    drawn = rails(["a", "b", "c"], [("a", "b"), ("b", "c")])

    assert {rail.width for rail in drawn} == {28}
    assert drawn[1].bends == ["M10 0Q10 16 20 16", "M20 16Q10 16 10 32"]


def test_lines_that_go_on_at_the_same_time_stand_beside_each_other() -> None:
    drawn = rails(["a", "b", "c", "d"], [("a", "d"), ("b", "c")])

    assert {rail.width for rail in drawn} == {38}
    assert drawn[1].lines == [20, 10]


def test_what_is_not_there_or_stands_before_its_cause_is_not_drawn() -> None:
    drawn = rails(["a", "b"], [("a", "gone"), ("gone", "b"), ("b", "a"), ("a", "a")])

    assert [rail.bends for rail in drawn] == [[], []]


def test_no_more_lines_are_drawn_than_somebody_can_follow() -> None:
    causes = [f"c{n}" for n in range(20)]

    drawn = rails([*causes, "end"], [(cause, "end") for cause in causes])

    assert len(drawn[-1].bends) == MOST_LANES
