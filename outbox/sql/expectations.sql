-- name: expect
-- In the transaction of the decisions, and for those alone that are new in it.
INSERT INTO expectations (
    id, decision_id, name, agent, entity, entity_id, event_source, event_id, event_at, partition, due_at
)
SELECT id, decision_id, name, agent, entity, entity_id, event_source, event_id, event_at, partition, due_at
FROM json_to_recordset(%(expected)s::json) AS e (
    id uuid, decision_id uuid, name text, agent text, entity text, entity_id text, event_source text, event_id text,
    event_at timestamptz, partition integer, due_at timestamptz
);

-- part: expected
id::text, decision_id::text, name, agent, entity, entity_id, event_source, event_id, event_at, partition, due_at, missed_at

-- name: due
-- Those of one partition that were due by then, a page at a time, the oldest first.
SELECT {expected}, due_at AS place_at
FROM expectations
WHERE state = 'open' AND agent = %(agent)s AND name = %(name)s AND partition = %(partition)s
  AND due_at <= %(until)s
  AND (due_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY due_at, id
LIMIT %(limit)s;

-- name: missed
-- Those of one partition that were called missed since then and that nothing has ended yet.
SELECT {expected}, missed_at AS place_at
FROM expectations
WHERE state = 'missed' AND agent = %(agent)s AND name = %(name)s AND partition = %(partition)s
  AND missed_at >= %(since)s
  AND (missed_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY missed_at, id
LIMIT %(limit)s;

-- name: met
DELETE FROM expectations WHERE id = ANY (%(ids)s::uuid[]) AND state = 'open';

-- name: settle
-- Whoever comes second waits for the first here and finds nothing to settle. What is told of one leaves with its row.
WITH settled AS (
    UPDATE expectations AS e
    SET
        state = s.state,
        missed_at = CASE WHEN s.state = 'unknown' THEN NULL ELSE coalesce(e.missed_at, clock_timestamp()) END,
        ended_at = s.ended_at, ended_by = s.ended_by
    FROM json_to_recordset(%(settled)s::json) AS s (
        id uuid, state text, ended_at timestamptz, ended_by text
    )
    WHERE e.id = s.id AND e.state = %(from)s
    RETURNING e.id, e.state
), told AS (
    INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
    SELECT m.lane, m.message_id, m.topic, m.key, m.value, m.headers::jsonb
    FROM unnest(
        %(expectation_ids)s::uuid[], %(message_lanes)s::smallint[], %(message_ids)s::text[], %(message_topics)s::text[],
        %(message_keys)s::bytea[], %(message_values)s::bytea[], %(message_headers)s::text[]
    ) WITH ORDINALITY AS m (id, lane, message_id, topic, key, value, headers, position)
    JOIN settled USING (id)
    ORDER BY m.position
)
SELECT id::text, state FROM settled;

-- name: expectations
-- The newest by when they were due, or those before that one.
SELECT
    id::text, decision_id::text, name, agent, entity, entity_id, event_source, event_id, event_at, due_at, state,
    missed_at, ended_at, ended_by
FROM expectations
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s)
  AND (
      %(before)s::uuid IS NULL
      OR (due_at, id) < (SELECT due_at, id FROM expectations WHERE id = %(before)s::uuid)
  )
ORDER BY due_at DESC, id DESC
LIMIT %(limit)s;

-- name: known_expectation
SELECT id FROM expectations WHERE id = %(id)s::uuid;
