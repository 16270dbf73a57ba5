"""Stacks: reads what py-spy wrote and says where the time went.

python -m benchmarks.stacks var/stacks.txt            # functions, by their own time and with what they call
python -m benchmarks.stacks var/stacks.txt --tree     # the same as a tree
python -m benchmarks.stacks var/stacks.txt --svg flame.svg
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

_MOST: Final = 40
#: Branches below this share of all samples are left out.
_SMALLEST: Final = 0.005
_LINE: Final = re.compile(r":\d+\)")
#: Frames that stand above everything and tell nothing.
_STEM: Final = re.compile(r"asyncio/|click/|runpy|threading|faust/cli|faust/__main__|mode/worker|mode/loop|uvloop")


Stack = Sequence[str]


@dataclass(slots=True)
class Node:
    """A function as called by those above it."""

    samples: int = 0
    children: dict[str, Node] = field(default_factory=dict)


def read(path: Path) -> list[tuple[Stack, int]]:
    """The stacks with their samples, outermost function first, without line numbers and without the stem."""
    found: list[tuple[Stack, int]] = []
    for line in path.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        names = [_LINE.sub(")", frame) for frame in frames.split(";")]
        while len(names) > 1 and (_STEM.search(names[1])):
            names.pop(1)
        names[0] = re.sub(r"thread \(\d+\): |thread \(0x\w+\)", "", names[0]) or "thread"
        found.append((names, int(count)))
    return found


def tree(stacks: Sequence[tuple[Stack, int]]) -> Node:
    """All stacks as one tree."""
    root = Node()
    for stack, count in stacks:
        node = root
        node.samples += count
        for name in stack:
            node = node.children.setdefault(name, Node())
            node.samples += count
    return root


def told(stacks: Sequence[tuple[Stack, int]]) -> Iterator[str]:
    """The functions with the most time of their own, and with the most in all."""
    own: Counter[str] = Counter()
    all_in_all: Counter[str] = Counter()
    for stack, count in stacks:
        own[stack[-1]] += count
        for name in set(stack):
            all_in_all[name] += count
    total = sum(count for _, count in stacks)
    for title, counts in (("own time", own), ("with what it calls", all_in_all)):
        yield title
        yield from (f"  {100 * count / total:5.1f} %  {name}" for name, count in counts.most_common(_MOST))


def branches(node: Node, total: int, smallest: float, depth: int = 0) -> Iterator[str]:
    """The tree as text, the largest branches first."""
    for name, child in sorted(node.children.items(), key=lambda each: -each[1].samples):
        if child.samples >= smallest * total:
            yield f"{100 * child.samples / total:5.1f} % {'  ' * depth}{name}"
            yield from branches(child, total, smallest, depth + 1)


_WIDTH: Final = 1200
_ROW: Final = 15


def svg(root: Node, smallest: float) -> str:
    """A flame graph: width is time, below a function is what it calls; small branches are left out."""
    boxes: list[str] = []
    deepest = _boxes(root, 0.0, 0, root.samples, smallest * root.samples, boxes)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {(deepest + 1) * _ROW}" font-size="10"'
    return "\n".join([f'{head} font-family="monospace">', *boxes, "</svg>\n"])


def _boxes(node: Node, left: float, depth: int, total: int, smallest: float, boxes: list[str]) -> int:
    deepest = depth
    for name, child in sorted(node.children.items()):
        width = _WIDTH * child.samples / total
        if child.samples >= smallest:
            label = name[: int(width / 6.1)]
            hue = sum(name.rpartition("(")[2].encode()) % 360
            boxes.append(
                f'<g><title>{escape(name)} {100 * child.samples / total:.1f} %</title><rect x="{left:.1f}"'
                f' y="{depth * _ROW}" width="{width:.1f}" height="{_ROW - 1}" fill="hsl({hue},60%,75%)"/>'
                f'<text x="{left + 2:.1f}" y="{depth * _ROW + 11}">{escape(label)}</text></g>'
            )
            deepest = max(deepest, _boxes(child, left, depth + 1, total, smallest, boxes))
        left += width
    return deepest


def main() -> None:
    """Print, or write the graph."""
    parser = argparse.ArgumentParser(prog="benchmarks.stacks", description=__doc__)
    parser.add_argument("stacks", type=Path)
    parser.add_argument("--tree", action="store_true")
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--smallest", type=float, default=_SMALLEST, help="share of the samples")
    arguments = parser.parse_args()
    stacks = read(arguments.stacks)
    root = tree(stacks)
    if arguments.svg is not None:
        arguments.svg.write_text(svg(root, arguments.smallest))
    elif arguments.tree:
        print("\n".join(branches(root, root.samples, arguments.smallest)))
    else:
        print("\n".join(told(stacks)))


if __name__ == "__main__":
    main()
