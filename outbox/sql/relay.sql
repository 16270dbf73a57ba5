-- name: next_messages
-- Deletes what Kafka has (`published`), and reads what comes next: the oldest messages of each lane, so that a long lane
-- does not hide the others; of a topic that is held up in a lane, none. A lane gives at most `limit` messages and stops
-- with the one that fills its `lane_bytes`; all lanes together, in the order they are given, stop with the one that fills
-- `bytes`.
WITH deleted AS (
    DELETE FROM outbox_messages WHERE seq = ANY (%(published)s::bigint[])
), sized AS (
    SELECT l.turn, m.*
    FROM unnest(%(lanes)s::smallint[]) WITH ORDINALITY AS l (lane, turn)
    CROSS JOIN LATERAL (
        SELECT
            lane, seq, message_id, topic, key, value, headers,
            octet_length(key) + coalesce(octet_length(value), 0) + pg_column_size(headers) AS bytes
        FROM outbox_messages
        -- By (lane, seq) and not by lane alone: the planner would think that a lane's first rows are soon found by seq,
        -- and read all of a long backlog for each lane that has no part in it. From the lowest bigint on, so that no row
        -- is left out, whatever seq somebody gave it.
        WHERE (outbox_messages.lane, seq) >= (l.lane, '-9223372036854775808'::bigint)
          AND (outbox_messages.lane, seq) < (l.lane + 1, '-9223372036854775808'::bigint)
          -- The statement still sees what it deletes.
          AND seq <> ALL (%(published)s::bigint[])
          AND (lane, topic) NOT IN (
              SELECT h.lane, h.topic
              FROM unnest(%(held_up_lanes)s::smallint[], %(held_up_topics)s::text[]) AS h (lane, topic)
          )
        ORDER BY outbox_messages.lane, seq
        LIMIT %(limit)s
    ) AS m
), in_lane AS (
    SELECT *, sum(bytes) OVER (PARTITION BY turn ORDER BY seq) - bytes AS lane_bytes_before FROM sized
), in_all AS (
    SELECT *, sum(bytes) OVER (ORDER BY turn, seq) - bytes AS bytes_before
    FROM in_lane
    WHERE lane_bytes_before < %(lane_bytes)s
)
SELECT lane, bytes, seq, message_id, topic, key, value, headers::text
FROM in_all
WHERE bytes_before < %(bytes)s
ORDER BY turn, seq;

-- name: bury
WITH buried AS (DELETE FROM outbox_messages WHERE seq = %(seq)s RETURNING *)
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
SELECT seq, lane, message_id, topic, key, value, headers, committed_at, %(reason)s
FROM buried
ON CONFLICT (seq) DO NOTHING;

-- name: first_pending
-- The oldest message of each lane that has one, and who holds the lane; looked for behind what is known to be gone
-- (`floors`), so that rows that are deleted and not yet removed are not read again and again. However many messages are
-- pending it reads one row for each lane: bounds and order by (lane, seq) leave the planner no index but the one on both.
SELECT
    l.lane, m.seq, extract(epoch FROM clock_timestamp() - m.committed_at)::double precision AS age_seconds,
    CASE WHEN o.leased_until > clock_timestamp() THEN o.owner END AS owner
FROM unnest(%(lanes)s::smallint[], %(floors)s::bigint[]) AS l (lane, floor)
CROSS JOIN LATERAL (
    SELECT seq, committed_at
    FROM outbox_messages
    WHERE (outbox_messages.lane, seq) > (l.lane, l.floor)
      AND (outbox_messages.lane, seq) < (l.lane + 1, '-9223372036854775808'::bigint)
    ORDER BY outbox_messages.lane, seq
    LIMIT 1
) AS m
LEFT JOIN outbox_lanes AS o ON o.lane = l.lane
ORDER BY l.lane;

-- name: drawn
-- The highest seq that anybody has drawn; NULL for a role that must not know.
SELECT last_value
FROM pg_sequences
WHERE quote_ident(schemaname) || '.' || quote_ident(sequencename) = pg_get_serial_sequence('outbox_messages', 'seq');
