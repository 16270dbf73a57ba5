-- name: pending_messages
-- The oldest messages of each lane, so that a long lane does not hide the others; of a topic that is held up in a lane,
-- none. A lane gives at most `limit` messages and stops with the one that fills its `lane_bytes`; all lanes together, in
-- the order they are given, stop with the one that fills `bytes`.
WITH sized AS (
    SELECT l.turn, m.*
    FROM unnest(%(lanes)s::smallint[]) WITH ORDINALITY AS l (lane, turn)
    CROSS JOIN LATERAL (
        SELECT
            lane, seq, message_id, topic, key, value, headers,
            octet_length(key) + coalesce(octet_length(value), 0) + pg_column_size(headers) AS bytes
        FROM outbox_messages
        WHERE outbox_messages.lane = l.lane
          AND (lane, topic) NOT IN (
              SELECT h.lane, h.topic
              FROM unnest(%(held_up_lanes)s::smallint[], %(held_up_topics)s::text[]) AS h (lane, topic)
          )
        ORDER BY seq
        LIMIT %(limit)s
    ) AS m
), in_lane AS (
    SELECT *, sum(bytes) OVER (PARTITION BY turn ORDER BY seq) - bytes AS lane_bytes_before FROM sized
), in_all AS (
    SELECT *, sum(bytes) OVER (ORDER BY turn, seq) - bytes AS bytes_before
    FROM in_lane
    WHERE lane_bytes_before < %(lane_bytes)s
)
SELECT lane, bytes, seq, message_id, topic, key, value, headers
FROM in_all
WHERE bytes_before < %(bytes)s
ORDER BY turn, seq;

-- name: delete_published
DELETE FROM outbox_messages WHERE seq = ANY (%(seqs)s::bigint[]);

-- name: bury
WITH buried AS (DELETE FROM outbox_messages WHERE seq = %(seq)s RETURNING *)
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
SELECT seq, lane, message_id, topic, key, value, headers, committed_at, %(reason)s
FROM buried
ON CONFLICT (seq) DO NOTHING;

-- name: first_pending
-- The oldest message of each lane that has one, and who holds the lane. However many messages are pending it reads one
-- row for each lane: comparing and ordering by (lane, seq) leaves the planner no index but the one on both, and where a
-- lane is empty the first row behind it, of another lane, ends the search.
SELECT
    l.lane, m.seq, extract(epoch FROM clock_timestamp() - m.committed_at)::double precision,
    CASE WHEN o.leased_until > clock_timestamp() THEN o.owner END
FROM generate_series(0, 63) AS l (lane)
CROSS JOIN LATERAL (
    SELECT lane, seq, committed_at
    FROM outbox_messages
    WHERE (outbox_messages.lane, outbox_messages.seq) > (l.lane::smallint, 0::bigint)
    ORDER BY outbox_messages.lane, outbox_messages.seq
    LIMIT 1
) AS m
LEFT JOIN outbox_lanes AS o ON o.lane = l.lane
WHERE m.lane = l.lane
ORDER BY l.lane;
