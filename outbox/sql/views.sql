-- part: summary
id::text, agent, event_source, event_id, event_type, entity, entity_id, outcome, reason, confidence, brain, model,
    fallback_reason, status, decided_at, correlation_id, code_id AS code

-- part: other_code
-- Whether the agent decided by other code just before: one probe of the index on agent and time.
coalesce((
    SELECT b.code_id IS DISTINCT FROM shown.code_id
    FROM decisions AS b
    WHERE b.agent = shown.agent AND (b.decided_at, b.id) < (shown.decided_at, shown.id)
    ORDER BY b.decided_at DESC, b.id DESC
    LIMIT 1
), false) AS is_other_code

-- name: decisions
-- A filter that is NULL filters nothing. `before` is the id of the last row of the page before. What is related to an
-- entity is what was decided on the events that were decided on about it, the newest 1,000 of them.
SELECT {summary}, {other_code}
FROM (
SELECT *
FROM decisions
WHERE (%(agent)s::text IS NULL OR agent = %(agent)s)
  AND (
      %(related)s
      OR (
          (%(entity)s::text IS NULL OR entity = %(entity)s)
          AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s)
      )
  )
  AND (
      NOT %(related)s
      OR id = ANY (ARRAY(
          SELECT d.id
          FROM (
              SELECT DISTINCT event_source, event_id
              FROM (
                  SELECT event_source, event_id
                  FROM decisions
                  WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
                    AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s)
                  ORDER BY decided_at DESC
                  LIMIT 1000
              ) AS newest
          ) AS own
          JOIN decisions AS d
              ON search_terms(d.event_id, d.correlation_id, d.messages) @> jsonb_build_array(own.event_id)
              AND d.event_id = own.event_id
              AND d.event_source = own.event_source
      ))
  )
  AND (
      %(event_id)s::text IS NULL
      OR (search_terms(event_id, correlation_id, messages) @> jsonb_build_array(%(event_id)s::text) AND event_id = %(event_id)s)
  )
  AND (
      %(message_id)s::text IS NULL
      OR (
          search_terms(event_id, correlation_id, messages) @> jsonb_build_array(%(message_id)s::text)
          AND message_ids(messages) @> jsonb_build_array(%(message_id)s::text)
      )
  )
  AND (
      %(correlation_id)s::text IS NULL
      OR (
          search_terms(event_id, correlation_id, messages) @> jsonb_build_array(%(correlation_id)s::text)
          AND correlation_id = %(correlation_id)s
      )
  )
  AND (%(event_source)s::text IS NULL OR event_source = %(event_source)s)
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(brain)s::text IS NULL OR brain = %(brain)s)
  AND (%(code)s::integer IS NULL OR code_id = %(code)s)
  AND (%(since)s::timestamptz IS NULL OR decided_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR decided_at < %(until)s)
  AND (
      %(before)s::uuid IS NULL
      OR (decided_at, id) < (SELECT decided_at, id FROM decisions WHERE id = %(before)s::uuid)
  )
ORDER BY decided_at DESC, id DESC
LIMIT %(limit)s
) AS shown
ORDER BY decided_at DESC, id DESC;

-- name: known_decision
SELECT id FROM decisions WHERE id = %(id)s::uuid;

-- name: decision
SELECT
    {summary}, {other_code},
    event_at, topic, partition, "offset", plain_history(history) AS history,
    coalesce(whole_messages, '[]') AS messages, not_kept, message_ids(messages) AS message_ids,
    committed_at, chain_depth, fan_out
FROM whole_decisions AS shown
WHERE id = %(id)s::uuid;

-- name: decision_groups
-- Of the newest decisions; one more than are shown is counted, to know that there are more.
SELECT agent, outcome, status, fell_back, count(*) AS decisions, max(decided_at) AS newest_at
FROM (
    SELECT agent, outcome, status, fallback_reason IS NOT NULL AS fell_back, decided_at
    FROM decisions
    WHERE (%(agent)s::text IS NULL OR agent = %(agent)s)
      AND (%(since)s::timestamptz IS NULL OR decided_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR decided_at < %(until)s)
    ORDER BY decided_at DESC, id DESC
    LIMIT %(at_most)s + 1
) AS newest
GROUP BY agent, outcome, status, fell_back
ORDER BY decisions DESC, agent, outcome, status, fell_back;

-- name: outbox
-- Counted up to a bound, so that nobody waits for the answer when there is much.
SELECT
    (SELECT count(*) FROM (SELECT FROM outbox_messages LIMIT %(at_most)s + 1) AS pending) AS pending,
    (SELECT count(*) FROM (SELECT FROM outbox_dead LIMIT %(at_most)s + 1) AS dead) AS dead;

-- part: letter
id::text, consumer, reason, detail, topic, partition, "offset", recorded_at, died_at,
    coalesce((truncated -> 'value' ->> 'bytes')::bigint, octet_length(value)) AS value_bytes,
    replayed_at, replayed_by, truncated

-- name: dead_letters
SELECT {letter}
FROM dead_letters
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(consumer)s::text IS NULL OR consumer = %(consumer)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
  AND (
      %(redriven)s::boolean IS NULL
      OR (%(redriven)s AND replayed_at IS NOT NULL)
      OR (NOT %(redriven)s AND replayed_at IS NULL)
  )
  AND (%(since)s::timestamptz IS NULL OR died_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR died_at < %(until)s)
  AND (
      %(before)s::uuid IS NULL
      OR (died_at, id) < (SELECT died_at, id FROM dead_letters WHERE id = %(before)s::uuid)
  )
ORDER BY died_at DESC, id DESC
LIMIT %(limit)s;

-- name: known_dead_letter
SELECT id FROM dead_letters WHERE id = %(id)s::uuid;

-- name: dead_letter
SELECT {letter}, key, value, headers
FROM dead_letters
WHERE id = %(id)s::uuid;

-- name: dead_letter_groups
-- Of the newest ones; one more than are grouped is counted, to know that there are more.
SELECT
    consumer, reason, topic, count(*) AS dead_letters, count(*) FILTER (WHERE replayed_at IS NULL) AS open,
    max(died_at) AS newest_at
FROM (
    SELECT consumer, reason, topic, replayed_at, died_at
    FROM dead_letters
    ORDER BY died_at DESC, id DESC
    LIMIT %(at_most)s + 1
) AS newest
GROUP BY consumer, reason, topic
ORDER BY dead_letters DESC, consumer, reason, topic;

-- part: call
id::text, agent, event_source, event_id, decision_id::text, attempt, model, prompt_sha256, prompt_tokens,
    completion_tokens, latency_ms, error, called_at

-- name: llm_calls
SELECT {call}
FROM llm_calls
WHERE (%(agent)s::text IS NULL OR agent = %(agent)s)
  AND (%(model)s::text IS NULL OR model = %(model)s)
  AND (%(decision_id)s::uuid IS NULL OR decision_id = %(decision_id)s::uuid)
  AND (%(failed)s::boolean IS NULL OR (%(failed)s AND error IS NOT NULL) OR (NOT %(failed)s AND error IS NULL))
  AND (%(since)s::timestamptz IS NULL OR called_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR called_at < %(until)s)
  AND (
      %(before)s::uuid IS NULL
      OR (called_at, id) < (SELECT called_at, id FROM llm_calls WHERE id = %(before)s::uuid)
  )
ORDER BY called_at DESC, id DESC
LIMIT %(limit)s;

-- name: known_llm_call
SELECT id FROM llm_calls WHERE id = %(id)s::uuid;

-- name: llm_call
SELECT {call}, coalesce(whole_prompt, '') AS prompt, whole_reply AS reply, not_kept
FROM whole_llm_calls
WHERE id = %(id)s::uuid;

-- name: model_uses
-- Of the newest calls.
SELECT
    agent, model, count(*) AS calls, count(error) AS failed,
    coalesce(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint AS completion_tokens,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) AS median_latency_ms,
    max(called_at) AS newest_at
FROM (
    SELECT agent, model, error, prompt_tokens, completion_tokens, latency_ms, called_at
    FROM llm_calls
    ORDER BY called_at DESC, id DESC
    LIMIT %(at_most)s
) AS newest
GROUP BY agent, model
ORDER BY calls DESC, agent, model;

-- name: model_budgets
SELECT
    a.agent,
    today.day,
    coalesce((SELECT used_tokens FROM llm_budgets AS b WHERE b.agent = a.agent AND b.day = today.day), 0) AS used_tokens,
    coalesce((
        SELECT sum(r.tokens)
        FROM llm_reservations AS r
        WHERE r.agent = a.agent AND r.day = today.day AND r.expires_at > clock_timestamp()
    ), 0)::bigint AS reserved_tokens
FROM unnest(%(agents)s::text[]) AS a (agent)
CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day) AS today
ORDER BY a.agent;
