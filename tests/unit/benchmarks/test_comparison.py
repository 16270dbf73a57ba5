"""Medians and ratios of the comparison."""

from __future__ import annotations

from benchmarks.comparison import medians, summary, table
from benchmarks.throughput import Measured


def measured(per_second: float, cpu: float, wal: float = 1000) -> Measured:
    return Measured(
        events=100,
        seconds=1,
        events_per_second=per_second,
        first_to_last_seconds=1,
        cpu_us_per_event=cpu,
        statements_per_decision=0.01,
        commits_per_decision=0.01,
        wal_bytes_per_decision=wal,
        changelog_bytes_per_event=480,
        changelog_ratio=1.2,
        records_per_event={},
        bytes_per_event={},
        memory_mb=100,
        peak_memory_mb=120,
    )


def test_the_median_of_three_runs_is_the_one_in_the_middle() -> None:
    runs = [measured(100, 9000), measured(900, 200), measured(800, 250)]

    assert medians(runs)["events_per_second"] == 800
    assert medians(runs)["cpu_us_per_event"] == 250


def test_ratios_above_one_say_that_ours_does_more() -> None:
    found = summary({"ours": {"full": [measured(2000, 300, 1300)]}, "theirs": {"full": [measured(500, 900)]}})

    assert found["ratios"] == {"theirs": {"full": {"throughput": 4.0, "cpu": 3.0, "wal": 1.3}}}


def test_the_table_has_a_line_for_each_variant_with_the_ratio_beside_it() -> None:
    found = summary({"ours": {"full": [measured(2000, 300)]}, "theirs": {"full": [measured(500, 900)]}})

    lines = table(found, "full").splitlines()
    assert lines[2] == "| ours | 2,000 | 300 | 0.01 | 0.01 | 1,000 | 480 | 120 |  |"
    assert lines[3] == "| theirs | 500 | 900 | 0.01 | 0.01 | 1,000 | 480 | 120 | 4.0, 3.0 |"
