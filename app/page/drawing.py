"""Drawing: a graph in columns as places and lines of an SVG. Pure; what it draws is the caller's.

Nodes stand in the column they are given; within a column they are ordered so that lines cross little: each by the mean
place of its neighbours, column by column, there and back (Sugiyama's barycentre method).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Sizes in units of the drawing.
NODE_WIDTH: Final = 170
NODE_HEIGHT: Final = 40
ROW: Final = 56
COLUMN: Final = 290
MARGIN: Final = 12
#: Rounds of ordering; a few are enough for graphs that a person can read.
_SWEEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Node:
    """What is drawn in a column."""

    id: str
    column: int
    label: str
    #: What it is, for its looks.
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a node to one in a later column; `weight` 0 to 1 says how thick."""

    start: str
    end: str
    says: str
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A node with its upper left corner."""

    node: Node
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """An edge as the `d` of a path, and the width of its line."""

    edge: Edge
    path: str
    width: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything with its place."""

    width: int
    height: int
    nodes: Sequence[DrawnNode]
    edges: Sequence[DrawnEdge]


def drawn(nodes: Sequence[Node], edges: Sequence[Edge]) -> Drawing:
    """The graph with a place for everything; edges with an end that is not there are left out."""
    columns = _ordered(_columns(nodes), edges)
    tallest = max((len(column) for column in columns), default=0)
    height = max(tallest * ROW, ROW) + 2 * MARGIN
    places = {
        node.id: DrawnNode(node, MARGIN + at * COLUMN, MARGIN + (tallest - len(column)) * ROW / 2 + row * ROW)
        for at, column in enumerate(columns)
        for row, node in enumerate(column)
    }
    lines = [
        _line(edge, places[edge.start], places[edge.end])
        for edge in edges
        if edge.start in places and edge.end in places
    ]
    width = 2 * MARGIN + max(len(columns) - 1, 0) * COLUMN + NODE_WIDTH
    return Drawing(width, height, list(places.values()), lines)


def _columns(nodes: Iterable[Node]) -> list[list[Node]]:
    columns: list[list[Node]] = []
    for node in nodes:
        columns.extend([] for _ in range(node.column + 1 - len(columns)))
        columns[node.column].append(node)
    return columns


def _ordered(columns: list[list[Node]], edges: Iterable[Edge]) -> list[list[Node]]:
    neighbours: dict[str, list[str]] = {}
    for edge in edges:
        neighbours.setdefault(edge.start, []).append(edge.end)
        neighbours.setdefault(edge.end, []).append(edge.start)
    column_of = {node.id: at for at, column in enumerate(columns) for node in column}
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        order = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for at in order:
            beside = at - 1 if forth else at + 1
            rows = _rows(columns[beside])
            # A stable sort: whoever has no neighbour there, or the same mean, stays behind the one before.
            own = _rows(columns[at])
            columns[at].sort(key=lambda node: _mean(neighbours.get(node.id, ()), rows, column_of, beside, own[node.id]))
    return columns


def _rows(column: Sequence[Node]) -> Mapping[str, float]:
    """The middle of each node, as a share of the column."""
    return {node.id: (row + 0.5) / len(column) for row, node in enumerate(column)}


def _mean(
    ids: Iterable[str], rows: Mapping[str, float], column_of: Mapping[str, int], beside: int, otherwise: float
) -> float:
    found = [rows[each] for each in ids if column_of.get(each) == beside]
    return sum(found) / len(found) if found else otherwise


def _line(edge: Edge, start: DrawnNode, end: DrawnNode) -> DrawnEdge:
    x1, y1 = start.x + NODE_WIDTH, start.y + NODE_HEIGHT / 2
    x2, y2 = end.x, end.y + NODE_HEIGHT / 2
    bend = (x2 - x1) / 2
    path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return DrawnEdge(edge, path, 1 + 3 * min(max(edge.weight, 0.0), 1.0))
