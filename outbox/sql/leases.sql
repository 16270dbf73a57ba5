-- name: lease_lanes
-- One round of leasing, all by the database's clock and one worker at a time (the lock is a statement of its own, so that
-- the next one sees what the worker before has done): say that this worker lives, count who does, give back what is over
-- the fair share (never a lane that is being published: `busy`), renew the rest, take what is free up to the share.
-- A lane that changes hands gets a new epoch.
SELECT pg_advisory_xact_lock(%(lock)s);
WITH forgotten AS (
    DELETE FROM outbox_workers WHERE seen_until < clock_timestamp() - interval '1 hour'
), me AS (
    INSERT INTO outbox_workers (owner, seen_until, tells_sources_apart, reads_steps, reads_contents)
    VALUES (%(owner)s, clock_timestamp() + make_interval(secs => %(lease_seconds)s), true, true, true)
    ON CONFLICT (owner) DO UPDATE SET seen_until = excluded.seen_until
), share AS (
    SELECT ceil(64.0 / (1 + count(*))) AS lanes
    FROM outbox_workers
    WHERE seen_until > clock_timestamp() AND owner <> %(owner)s
), ranked AS (
    SELECT
        lane,
        owner IS NOT DISTINCT FROM %(owner)s AS mine,
        owner IS NOT DISTINCT FROM %(owner)s AND lane = ANY (%(busy)s::smallint[]) AS busy,
        row_number() OVER (
            ORDER BY
                owner IS NOT DISTINCT FROM %(owner)s AND lane = ANY (%(busy)s::smallint[]) DESC,
                owner IS NOT DISTINCT FROM %(owner)s DESC,
                lane
        ) AS rank
    FROM outbox_lanes
    WHERE owner IS NOT DISTINCT FROM %(owner)s OR owner IS NULL OR leased_until < clock_timestamp()
), settled AS (
    SELECT lane, mine, busy OR rank <= (SELECT lanes FROM share) AS keep FROM ranked
)
UPDATE outbox_lanes AS l
SET epoch = l.epoch + (settled.keep AND NOT settled.mine)::integer,
    owner = CASE WHEN settled.keep THEN %(owner)s END,
    leased_until = CASE
        WHEN settled.keep THEN clock_timestamp() + make_interval(secs => %(lease_seconds)s) ELSE '-infinity'
    END
FROM settled
WHERE l.lane = settled.lane AND (settled.keep OR settled.mine)
RETURNING l.lane, l.epoch, l.owner IS NOT NULL AS is_held;

-- name: release_lanes
-- Leaving: nobody has to wait for the lease to run out.
WITH gone AS (DELETE FROM outbox_workers WHERE owner = %(owner)s)
UPDATE outbox_lanes SET owner = NULL, leased_until = '-infinity' WHERE owner = %(owner)s;
