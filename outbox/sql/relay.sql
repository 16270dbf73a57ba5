-- name: pending_messages
-- The oldest messages of each lane, so that a long lane does not hide the others.
SELECT m.lane, m.seq, m.message_id, m.topic, m.key, m.value, m.headers
FROM unnest(%(lanes)s::smallint[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT * FROM outbox_messages WHERE outbox_messages.lane = l.lane ORDER BY seq LIMIT %(limit)s
) AS m
ORDER BY m.lane, m.seq;

-- name: delete_published
DELETE FROM outbox_messages WHERE seq = ANY (%(seqs)s::bigint[]);

-- name: bury
WITH buried AS (DELETE FROM outbox_messages WHERE seq = %(seq)s RETURNING *)
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
SELECT seq, lane, message_id, topic, key, value, headers, committed_at, %(reason)s
FROM buried
ON CONFLICT (seq) DO NOTHING;

-- name: oldest_pending
-- Lanes with something pending, and for how long, in seconds.
SELECT lane, extract(epoch FROM clock_timestamp() - min(committed_at))::double precision
FROM outbox_messages
GROUP BY lane;
