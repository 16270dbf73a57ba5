-- part: summary
id::text, agent, event_source, event_id, event_type, entity, entity_id, outcome, reason, confidence, brain, model,
    fallback_reason, status, decided_at

-- name: decisions
-- A filter that is NULL filters nothing. `before` is the id of the last row of the page before.
SELECT {summary}
FROM decisions
WHERE (%(agent)s::text IS NULL OR agent = %(agent)s)
  AND (%(entity)s::text IS NULL OR entity = %(entity)s)
  AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s)
  AND (%(event_id)s::text IS NULL OR event_id = %(event_id)s)
  AND (%(event_source)s::text IS NULL OR event_source = %(event_source)s)
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (
      %(before)s::uuid IS NULL
      OR (decided_at, id) < (SELECT decided_at, id FROM decisions WHERE id = %(before)s::uuid)
  )
ORDER BY decided_at DESC, id DESC
LIMIT %(limit)s;

-- name: known_decision
SELECT id FROM decisions WHERE id = %(id)s::uuid;

-- name: decision
SELECT
    {summary},
    event_at, topic, partition, "offset", plain_history(history) AS history, messages,
    committed_at, correlation_id, chain_depth, fan_out
FROM decisions
WHERE id = %(id)s::uuid;

-- name: outbox
-- Counted up to a bound, so that nobody waits for the answer when there is much.
SELECT
    (SELECT count(*) FROM (SELECT FROM outbox_messages LIMIT %(at_most)s + 1) AS pending) AS pending,
    (SELECT count(*) FROM (SELECT FROM outbox_dead LIMIT %(at_most)s + 1) AS dead) AS dead;

-- name: dead_letters
SELECT
    id::text, consumer, reason, detail, topic, partition, "offset", recorded_at, died_at,
    coalesce((truncated -> 'value' ->> 'bytes')::bigint, octet_length(value)) AS value_bytes,
    replayed_at, replayed_by, truncated
FROM dead_letters
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(consumer)s::text IS NULL OR consumer = %(consumer)s)
  AND (
      %(before)s::uuid IS NULL
      OR (died_at, id) < (SELECT died_at, id FROM dead_letters WHERE id = %(before)s::uuid)
  )
ORDER BY died_at DESC, id DESC
LIMIT %(limit)s;

-- name: known_dead_letter
SELECT id FROM dead_letters WHERE id = %(id)s::uuid;
