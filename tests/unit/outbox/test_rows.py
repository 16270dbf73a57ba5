from __future__ import annotations

import pytest

from outbox.rows import named


def test_a_row_has_its_columns_by_the_names_of_the_statement() -> None:
    [first, second] = named(["offset", "count"], [(7, "a"), (8, None)])
    assert (first.offset, first.count, second.offset, second.count) == (7, "a", 8, None)
    assert first._asdict() == {"offset": 7, "count": "a"}


def test_what_has_no_name_of_its_own_has_none_and_hides_no_other() -> None:
    [row] = named(["id", "?column?", "id", "from", "topic"], [(1, 2, 3, 4, "t")])
    assert (row.id, row.topic) == (1, "t")
    with pytest.raises(AttributeError):
        assert row.position


def test_the_same_columns_in_another_order_are_other_rows() -> None:
    [one], [other] = named(["a", "b"], [(1, 2)]), named(["b", "a"], [(1, 2)])
    assert (one.a, other.a) == (1, 2)
