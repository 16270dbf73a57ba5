-- name: announce
-- What a worker says of itself. What has not changed is not written again: the row keeps what it has, and only the time is
-- new. Workers that nobody has heard of for a day are forgotten.
WITH forgotten AS (
    DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 day' AND name <> %(name)s
)
INSERT INTO workers (name, kind, agent_set, agents, release, address, started_at, state)
VALUES (
    %(name)s, %(kind)s, %(agent_set)s, %(agents)s::text[], %(release)s, %(address)s, %(started_at)s, %(state)s::jsonb
)
ON CONFLICT (name) DO UPDATE
SET seen_at = clock_timestamp(),
    stopped_at = NULL,
    state = CASE WHEN workers.state = excluded.state THEN workers.state ELSE excluded.state END;

-- name: say_goodbye
UPDATE workers SET seen_at = clock_timestamp(), stopped_at = clock_timestamp() WHERE name = %(name)s;

-- name: workers
-- All that were heard of within a day, with the lanes whose leases they hold; those heard of last come first, by the
-- database's clock. Bounded, for a worker that is started again and again leaves a row each time.
SELECT
    w.name, w.kind, w.agent_set, w.agents, w.release, w.address, w.started_at, w.seen_at, w.stopped_at, w.state,
    extract(epoch FROM clock_timestamp() - w.seen_at)::double precision AS unseen_seconds,
    coalesce(l.lanes, '{}') AS lanes,
    clock_timestamp() AS asked_at
FROM workers AS w
LEFT JOIN (
    SELECT owner, array_agg(lane ORDER BY lane) AS lanes
    FROM outbox_lanes
    WHERE leased_until > clock_timestamp()
    GROUP BY owner
) AS l ON l.owner = w.name
ORDER BY w.stopped_at IS NOT NULL, w.seen_at DESC, w.name
LIMIT %(at_most)s;
