"""Folded stacks, read and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.stacks import branches, read, svg, told, tree


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Ten samples: seven below `decide`, one of them its own, and three below `write`."""
    path = tmp_path / "stacks.txt"
    path.write_text(
        "thread (12): MainThread;run_forever (asyncio/base_events.py:607);decide (a.py:1);rule (b.py:7) 4\n"
        "thread (12): MainThread;run_forever (asyncio/base_events.py:607);decide (a.py:2);rule (b.py:9) 2\n"
        "thread (12): MainThread;run_forever (asyncio/base_events.py:607);decide (a.py:2) 1\n"
        "thread (12): MainThread;write (c.py:5) 3\n"
    )
    return path


def test_lines_of_one_function_count_together_and_the_loop_above_is_left_out(stacks: Path) -> None:
    lines = list(branches(tree(read(stacks)), 10, 0.0))

    assert lines == [
        "100.0 % MainThread",
        " 70.0 %   decide (a.py)",
        " 60.0 %     rule (b.py)",
        " 30.0 %   write (c.py)",
    ]


def test_a_function_has_its_own_time_and_that_of_what_it_calls(stacks: Path) -> None:
    lines = list(told(read(stacks)))

    assert lines[1:4] == ["   60.0 %  rule (b.py)", "   30.0 %  write (c.py)", "   10.0 %  decide (a.py)"]
    assert "   70.0 %  decide (a.py)" in lines[5:]


def test_a_flame_graph_leaves_small_branches_out(stacks: Path) -> None:
    drawn = svg(tree(read(stacks)), 0.5)

    assert "rule (b.py) 60.0 %" in drawn
    assert "write (c.py)" not in drawn
