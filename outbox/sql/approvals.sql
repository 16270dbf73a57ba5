-- name: hold
-- One that PostgreSQL has refused is rejected already.
INSERT INTO approvals (
    decision_id, reason, content, content_sha256, expires_at, answer, answered_by, answered_at
)
VALUES (
    %(decision_id)s, %(reason)s, %(content)s, %(content_sha256)s, clock_timestamp() + %(hold_for)s,
    CASE WHEN %(rejected_by)s::text IS NOT NULL THEN 'rejected' END, %(rejected_by)s,
    CASE WHEN %(rejected_by)s::text IS NOT NULL THEN clock_timestamp() END
);

-- name: answer
-- Whoever comes second waits for the first here, and then finds nothing to answer. What follows from an answer comes
-- after the messages of decisions committed in the meantime, so a held decision counts as committed when it is answered.
WITH answered AS (
    UPDATE approvals
    SET answer = %(answer)s, answered_by = %(by)s, answered_at = clock_timestamp()
    WHERE decision_id = %(decision_id)s
      AND content_sha256 = %(content_sha256)s
      AND answer IS NULL
      AND (expires_at <= clock_timestamp()) = (%(answer)s = 'expired')
    RETURNING decision_id
)
UPDATE decisions
SET status = %(status)s, committed_at = clock_timestamp()
FROM answered
WHERE decisions.id = answered.decision_id
RETURNING decisions.id;

-- name: publish
INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
SELECT m.lane, m.message_id, m.topic, m.key, m.value, m.headers::jsonb
FROM unnest(
    %(message_lanes)s::smallint[], %(message_ids)s::text[], %(message_topics)s::text[], %(message_keys)s::bytea[],
    %(message_values)s::bytea[], %(message_headers)s::text[]
) WITH ORDINALITY AS m (lane, message_id, topic, key, value, headers, position)
ORDER BY m.position;

-- name: overdue
-- A page at a time, from the oldest on: what cannot be expired is passed by.
SELECT decision_id::text, expires_at, content, content_sha256
FROM approvals
WHERE answer IS NULL
  AND expires_at <= clock_timestamp()
  AND (expires_at, decision_id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY expires_at, decision_id
LIMIT %(limit)s;

-- part: approvals
-- One that is overdue counts as expired, whether or not somebody has written that down yet.
SELECT
    decision_id::text, approvals.reason, content, content_sha256, asked_at, expires_at,
    CASE WHEN answer IS NULL AND expires_at <= clock_timestamp() THEN 'expired' ELSE answer END AS answer,
    answered_by, answered_at, agent, event_source, event_id, entity, entity_id, outcome,
    decisions.reason AS decision_reason, confidence, brain
FROM approvals
JOIN decisions ON decisions.id = decision_id

-- name: approval
{approvals}
WHERE decision_id = %(decision_id)s;

-- name: known_approval
SELECT decision_id FROM approvals WHERE decision_id = %(id)s::uuid;

-- name: waiting
{approvals}
WHERE answer IS NULL AND expires_at > clock_timestamp()
  AND (
      %(before)s::uuid IS NULL
      OR (asked_at, decision_id) < (SELECT asked_at, decision_id FROM approvals WHERE decision_id = %(before)s::uuid)
  )
ORDER BY asked_at DESC, decision_id DESC
LIMIT %(limit)s;
