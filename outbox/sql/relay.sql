-- name: lease_lanes
-- The database's clock decides, never a worker's. SKIP LOCKED: two relays share the lanes without waiting for each
-- other. A lane that changes hands gets a new epoch.
WITH mine AS (
    SELECT lane
    FROM outbox_lanes
    WHERE owner = %(owner)s OR leased_until < clock_timestamp()
    ORDER BY (owner IS DISTINCT FROM %(owner)s), lane
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox_lanes AS l
SET epoch = l.epoch + (l.owner IS DISTINCT FROM %(owner)s)::integer,
    owner = %(owner)s,
    leased_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
FROM mine
WHERE l.lane = mine.lane
RETURNING l.lane, l.epoch;

-- name: release_lanes
UPDATE outbox_lanes SET owner = NULL, leased_until = '-infinity' WHERE owner = %(owner)s;

-- name: pending_messages
SELECT seq, message_id, topic, key, value, headers, lane
FROM outbox_messages
WHERE lane = ANY (%(lanes)s::smallint[])
ORDER BY seq
LIMIT %(limit)s;

-- name: delete_published
DELETE FROM outbox_messages WHERE seq = ANY (%(seqs)s::bigint[]);

-- name: bury
WITH buried AS (DELETE FROM outbox_messages WHERE seq = %(seq)s RETURNING *)
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
SELECT seq, lane, message_id, topic, key, value, headers, committed_at, %(reason)s
FROM buried
ON CONFLICT (seq) DO NOTHING;
