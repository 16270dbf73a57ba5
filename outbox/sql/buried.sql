-- name: buried_page
-- The newest first, from the one of the page before on.
SELECT seq, message_id, topic, reason, committed_at, died_at, octet_length(value) AS value_bytes
FROM outbox_dead
WHERE (%(before)s::bigint IS NULL OR seq < %(before)s::bigint)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
ORDER BY seq DESC
LIMIT %(limit)s;

-- name: buried_message
SELECT seq, message_id, topic, reason, committed_at, died_at, octet_length(value) AS value_bytes, key, value, headers
FROM outbox_dead
WHERE seq = %(seq)s::bigint;

-- name: buried_groups
SELECT topic, reason, count(*) AS messages, max(died_at) AS newest_at
FROM (SELECT topic, reason, died_at FROM outbox_dead ORDER BY seq DESC LIMIT %(at_most)s) AS newest
GROUP BY topic, reason
ORDER BY messages DESC, topic, reason;

-- name: known_seq
-- One that was put back in the meantime is known still: whoever puts messages back page by page goes on from it.
SELECT FROM outbox_dead WHERE seq >= %(seq)s::bigint
UNION ALL
SELECT WHERE pg_sequence_last_value(pg_get_serial_sequence('outbox_messages', 'seq')::regclass) >= %(seq)s::bigint
LIMIT 1;

-- name: redrive
-- Back into the outbox, at the end of its lane and under its old id; all of them, or one.
WITH redriven AS (DELETE FROM outbox_dead WHERE %(seq)s::bigint IS NULL OR seq = %(seq)s::bigint RETURNING *)
INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers, committed_at)
SELECT lane, message_id, topic, key, value, headers, committed_at FROM redriven ORDER BY seq
RETURNING message_id;
