"""Contents leave PostgreSQL under load while events are read again: nothing is decided twice, and who looks is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from drill import Drill
from standing import ask
from witness import rows

#: The agents in two sets, and in two others: other groups, which read their timelines from the beginning.
FIRST: Final = ("confirmation,fraud,fulfilment", "bookkeeping,cascade,incident,recovery,root_cause")
OTHERS: Final = ("fraud,fulfilment", "bookkeeping,cascade,confirmation,incident,recovery,root_cause")

#: Makes everything decided so far sixty days old, in one transaction, and puts contents aside for the audit.
_SIXTY_DAYS_LATER: Final = """
    DO $$
    BEGIN
        EXECUTE format(
            'CREATE TABLE decision_contents_old PARTITION OF decision_contents FOR VALUES FROM (%%L) TO (%%L)',
            clock_timestamp() - interval '70 days', clock_timestamp() - interval '50 days'
        );
        WITH aged AS (UPDATE decisions SET decided_at = decided_at - interval '60 days' WHERE is_apart RETURNING id)
        UPDATE decision_contents SET at = at - interval '60 days' WHERE id IN (SELECT id FROM aged);
        CREATE TABLE aside AS SELECT * FROM decision_contents_old;
    END
    $$
"""
_GONE: Final = """
    SELECT id::text FROM whole_decisions WHERE whole_messages IS NULL AND status = 'committed' ORDER BY id
"""


def test_contents_leave_under_load_and_nothing_is_decided_again(drill: Drill) -> None:
    first = [drill.seat({"AGENTS": agents}) for agents in FIRST]
    others = [drill.seat({"AGENTS": agents}) for agents in OTHERS]
    drill.start(*first)
    with drill.load("retention") as load:
        drill.go_on(load)
        rows(drill.database_url, _SIXTY_DAYS_LATER)
        [(aged,)] = rows(drill.database_url, "SELECT count(*) FROM decision_contents_old")
        assert aged > 0

        maintained = drill.process(first[0]).run_command("retention", "--keep", "decision_contents=30", "--now")
        assert maintained.returncode == 0, maintained.stderr[-2000:]
        # Two at once, as two workers; whoever finds the other at it does nothing.
        with ThreadPoolExecutor(2) as pool:
            for done in pool.map(lambda seat: drill.process(seat).run_command("retention", "--now"), first):
                assert done.returncode == 0, done.stderr[-2000:]
        [(partitions, stay)] = rows(
            drill.database_url, "SELECT count(*), coalesce(sum(stay), 0)::bigint FROM retention_drops"
        )
        assert partitions == 1
        gone = [each for (each,) in rows(drill.database_url, _GONE)]
        assert 0 < len(gone) <= aged - stay
        assert rows(drill.database_url, "SELECT to_regclass('decision_contents_old') IS NULL") == [(True,)]
        status, told = ask(drill.process(first[0]).url, f"/decisions/{gone[0]}")
        assert (status, told["messages"], told["not_kept"]["keep_days"]) == (200, [], 30)
        assert told["message_ids"]

        drill.go_on(load)
        drill.leave(*first)
        drill.start(*others)
        drill.go_on(load)

    rows(drill.database_url, "INSERT INTO decision_contents_kept SELECT * FROM aside ON CONFLICT DO NOTHING")
    drill.assert_promises_kept()
