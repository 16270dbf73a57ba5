-- name: dead_letter
SELECT
    id::text, consumer, reason, detail, topic, partition, "offset", key, replayed_at AS redriven_at,
    replayed_by AS redriven_by, truncated IS NULL AS is_whole
FROM dead_letters
WHERE id = %(id)s;

-- name: redrive
-- Whoever comes second waits for the first here, and then finds nothing to redrive.
WITH redriven AS (
    UPDATE dead_letters
    SET replayed_at = clock_timestamp(), replayed_by = %(by)s
    WHERE id = %(id)s AND replayed_at IS NULL AND truncated IS NULL
    RETURNING topic, coalesce(key, '') AS key, value, headers
)
INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
SELECT %(lane)s, %(message_id)s, topic, key, value, headers
FROM redriven
RETURNING message_id;

-- name: redrivable
-- A page at a time, in the order of the records; not what died after the first page was read.
SELECT id::text, recorded_at
FROM dead_letters
WHERE consumer = %(consumer)s
  AND replayed_at IS NULL
  AND truncated IS NULL
  AND died_at <= %(until)s
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (recorded_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY recorded_at, id
LIMIT %(limit)s;
