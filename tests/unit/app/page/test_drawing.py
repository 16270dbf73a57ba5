"""A graph in columns as places and lines."""

from __future__ import annotations

from app.page.drawing import Edge, Node, drawn


def order(drawing_nodes: list[Node], edges: list[Edge], column: int) -> list[str]:
    places = [each for each in drawn(drawing_nodes, edges).nodes if each.node.column == column]
    return [each.node.id for each in sorted(places, key=lambda each: each.y)]


def test_nodes_stand_where_their_lines_cross_nothing() -> None:
    nodes = [Node("a", 0, "a"), Node("b", 0, "b"), Node("x", 1, "x"), Node("y", 1, "y")]

    assert order(nodes, [Edge("a", "y", ""), Edge("b", "x", "")], 1) == ["y", "x"]


def test_columns_stand_beside_each_other_and_in_the_middle() -> None:
    found = drawn([Node("a", 0, "a"), Node("b", 0, "b"), Node("x", 1, "x")], [])

    assert (found.width, found.height) == (484, 136)
    assert {each.node.id: (each.x, each.y) for each in found.nodes} == {
        "a": (12, 12),
        "b": (12, 68),
        "x": (302, 40),
    }


def test_a_line_leads_from_the_right_of_one_to_the_left_of_the_other_and_is_thicker_where_more_moves() -> None:
    found = drawn([Node("a", 0, "a"), Node("x", 1, "x")], [Edge("a", "x", "", 0.5)])

    assert [(each.path, each.width) for each in found.edges] == [("M182 32C242 32 242 32 302 32", 2.5)]


def test_a_line_to_what_is_not_there_is_left_out_and_nothing_is_a_drawing_too() -> None:
    assert drawn([Node("a", 0, "a")], [Edge("a", "x", "")]).edges == []
    assert drawn([], []).nodes == []


def test_nodes_without_neighbours_keep_their_order() -> None:
    nodes = [Node(name, 0, name) for name in "cab"]

    assert order(nodes, [], 0) == ["c", "a", "b"]
