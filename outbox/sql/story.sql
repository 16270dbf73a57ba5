-- part: decided
id::text, agent, event_source, event_id, event_type, event_at, entity, entity_id, topic, partition, "offset",
    plain_history(history)::text AS history, brain, model, outcome, reason, confidence, fallback_reason, status,
    decided_at, committed_at, correlation_id, chain_depth,
    (
        SELECT jsonb_build_object(
            'id', c.id, 'version', c.version, 'rules_hash', c.rules_hash, 'settings_hash', c.settings_hash,
            'release', c.release
        )::text
        FROM code_versions AS c WHERE c.id = code_id
    ) AS code,
    CASE WHEN pg_column_size(w.whole_messages) <= 4194304 THEN w.whole_messages::text ELSE '[]' END AS messages,
    w.not_kept

-- part: contents
-- Each looked for once.
LEFT JOIN LATERAL (SELECT whole_messages, not_kept FROM whole_decisions AS d WHERE d.id = shown.id OFFSET 0) AS w ON true

-- name: own_decisions
-- Those on the newest events of an entity, before an offset of its timeline where one is given: pages go by the log, and
-- what was decided late on an old event is on the page of that event.
SELECT {decided}
FROM decisions AS shown
{contents}
WHERE id IN (
    SELECT id
    FROM decisions
    WHERE entity = %(entity)s AND entity_id = %(entity_id)s
      AND (%(before)s::bigint IS NULL OR "offset" < %(before)s::bigint)
    ORDER BY "offset" DESC, id DESC
    LIMIT %(limit)s
)
ORDER BY "offset" DESC, id DESC;

-- name: decisions_by_terms
-- Decisions on the events with these ids, of these correlations, or that published messages with these ids. Who asks looks
-- at the sources: an id is not unique by itself. Not ordered within: the planner would walk along the newest decisions.
SELECT {decided}
FROM (
    SELECT DISTINCT ON (d.id) d.*
    FROM unnest(%(terms)s::text[]) AS t (term)
    CROSS JOIN LATERAL (
        SELECT *
        FROM decisions
        WHERE search_terms(event_id, correlation_id, messages) @> jsonb_build_array(t.term)
        LIMIT %(of_each)s
    ) AS d
    WHERE NOT d.id = ANY (%(known)s::uuid[])
) AS shown
{contents}
ORDER BY decided_at DESC
LIMIT %(limit)s;

-- name: approvals
SELECT
    decision_id::text, reason, content, content_sha256, asked_at, expires_at,
    CASE WHEN answer IS NULL AND expires_at <= clock_timestamp() THEN 'expired' ELSE answer END AS answer,
    answered_by, answered_at
FROM approvals
WHERE decision_id = ANY (%(ids)s::uuid[]);

-- name: expectations
-- By the entities, for which there is an index.
SELECT decision_id::text, name, due_at, state, missed_at, ended_at, ended_by
FROM expectations
WHERE entity_id = ANY (%(entity_ids)s::text[]) AND decision_id = ANY (%(ids)s::uuid[])
ORDER BY due_at DESC, id DESC
LIMIT %(limit)s;

-- name: calls
-- Cut to so many characters; hashes are those of the whole.
SELECT
    c.agent, c.event_source, c.event_id, c.attempt, c.model, c.prompt_sha256, left(coalesce(w.prompt, ''), %(characters)s) AS prompt,
    left(w.reply, %(characters)s) AS reply,
    coalesce(length(w.prompt), 0) > %(characters)s OR coalesce(length(w.reply), 0) > %(characters)s AS is_cut,
    c.prompt_tokens, c.completion_tokens, c.latency_ms, c.error, c.called_at, w.not_kept
FROM unnest(%(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[]) AS e (agent, event_source, event_id)
JOIN llm_calls AS c
    ON c.agent = e.agent AND c.event_id = e.event_id AND coalesce(c.event_source, e.event_source) = e.event_source
LEFT JOIN LATERAL (
    SELECT whole_prompt AS prompt, whole_reply AS reply, not_kept FROM whole_llm_calls AS l WHERE l.id = c.id OFFSET 0
) AS w ON true
ORDER BY c.called_at, c.id
LIMIT %(limit)s;

-- name: pending
-- Looked for at both ends of the lanes of these messages: the oldest are stuck, the newest were just committed. A lane
-- that holds more is named.
WITH lanes AS (
    SELECT DISTINCT lane FROM unnest(%(lanes)s::smallint[]) AS l (lane)
), looked_at AS (
    SELECT l.lane, m.message_id, m.committed_at
    FROM lanes AS l
    CROSS JOIN LATERAL (
        (
            SELECT message_id, committed_at FROM outbox_messages AS o
            WHERE (o.lane, o.seq) >= (l.lane, '-9223372036854775808'::bigint)
              AND (o.lane, o.seq) < (l.lane + 1, '-9223372036854775808'::bigint)
            ORDER BY o.lane, o.seq
            LIMIT %(at_most)s
        )
        UNION ALL
        (
            SELECT message_id, committed_at FROM outbox_messages AS o
            WHERE (o.lane, o.seq) >= (l.lane, '-9223372036854775808'::bigint)
              AND (o.lane, o.seq) < (l.lane + 1, '-9223372036854775808'::bigint)
            ORDER BY o.lane DESC, o.seq DESC
            LIMIT %(at_most)s
        )
    ) AS m
)
SELECT NULL::text AS message_id, NULL::timestamptz AS committed_at, lane
FROM looked_at GROUP BY lane HAVING count(*) >= 2 * %(at_most)s
UNION ALL
SELECT message_id, min(committed_at), min(lane)
FROM looked_at WHERE message_id = ANY (%(ids)s::text[]) GROUP BY message_id;

-- name: buried
SELECT d.message_id, d.reason, d.died_at
FROM unnest(%(topics)s::text[]) AS t (topic)
CROSS JOIN LATERAL (
    SELECT message_id, reason, died_at FROM outbox_dead WHERE topic = t.topic ORDER BY seq DESC LIMIT %(at_most)s
) AS d
WHERE d.message_id = ANY (%(ids)s::text[]);

-- part: letter
d.id::text, d.consumer, d.reason, d.detail, d.topic, d.partition, d."offset", d.died_at, d.replayed_at AS redriven_at,
    d.replayed_by AS redriven_by

-- name: letters
-- Of records at these places, whoever gave them up; and of records with these keys.
SELECT {letter}
FROM unnest(%(topics)s::text[], %(partitions)s::integer[], %(offsets)s::bigint[]) AS p (topic, partition, "offset")
CROSS JOIN unnest(%(consumers)s::text[]) AS c (consumer)
JOIN dead_letters AS d
    ON d.consumer = c.consumer AND d.topic = p.topic AND d.partition = p.partition AND d."offset" = p."offset"
UNION
SELECT {letter}
FROM dead_letters AS d
WHERE d.key = %(key)s AND d.recorded_at BETWEEN %(since)s AND %(until)s
ORDER BY died_at DESC
LIMIT %(limit)s;

-- name: effect_tables
-- Tables of domains whose rows say which decision wrote them, where an index finds them by it.
SELECT c.conrelid::regclass::text AS "table", format('%%I', a.attname) AS "column"
FROM pg_constraint AS c
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f'
  AND c.confrelid = 'decisions'::regclass
  AND array_length(c.conkey, 1) = 1
  AND c.conrelid <> ALL (ARRAY(SELECT to_regclass(name)::oid FROM unnest(%(own)s::text[]) AS n (name) WHERE to_regclass(name) IS NOT NULL))
  AND EXISTS (
      SELECT FROM pg_index AS i
      WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = c.conkey[1]
  )
ORDER BY 1;

-- name: find_entities
-- Of which of these kinds there is an entity with this id.
SELECT k.entity
FROM unnest(%(kinds)s::text[]) AS k (entity)
WHERE EXISTS (SELECT FROM decisions AS d WHERE d.entity = k.entity AND d.entity_id = %(text)s);

-- name: find_by_term
-- Whom decisions are about that have to do with this id of an event, a message or a correlation, or that have it.
SELECT DISTINCT entity, entity_id
FROM (
    (SELECT entity, entity_id FROM decisions
     WHERE search_terms(event_id, correlation_id, messages) @> jsonb_build_array(%(text)s::text) LIMIT %(limit)s)
    UNION ALL
    (SELECT entity, entity_id FROM decisions WHERE id = %(id)s::uuid)
) AS found
ORDER BY entity, entity_id
LIMIT %(limit)s;

-- name: searched_columns
-- Columns of the tables of domains that an index finds a value in, with the column that says which decision wrote the row.
SELECT
    c.conrelid::regclass::text AS "table", format('%%I', a.attname) AS "column", format('%%I', b.attname) AS searched,
    b.atttypid::regtype::text AS type
FROM pg_constraint AS c
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_index AS i ON i.indrelid = c.conrelid AND i.indisvalid AND i.indpred IS NULL
JOIN pg_attribute AS b ON b.attrelid = c.conrelid AND b.attnum = i.indkey[0]
WHERE c.contype = 'f'
  AND c.confrelid = 'decisions'::regclass
  AND array_length(c.conkey, 1) = 1
  AND a.attnum <> b.attnum
  AND b.atttypid IN ('text'::regtype, 'uuid'::regtype)
  AND c.conrelid <> ALL (ARRAY(SELECT to_regclass(name)::oid FROM unnest(%(own)s::text[]) AS n (name) WHERE to_regclass(name) IS NOT NULL))
GROUP BY 1, 2, 3, 4
ORDER BY 1, 3;

-- name: find_by_decisions
SELECT DISTINCT entity, entity_id FROM decisions WHERE id = ANY (%(ids)s::uuid[]) ORDER BY entity, entity_id;

-- name: find_in_messages
-- A value in what the newest decisions published, wherever it stands there.
SELECT DISTINCT entity, entity_id
FROM (SELECT entity, entity_id, whole_messages AS messages FROM whole_decisions ORDER BY decided_at DESC, id DESC LIMIT %(at_most)s) AS newest
WHERE position(to_jsonb(%(text)s::text)::text IN messages::text) > 0
ORDER BY entity, entity_id
LIMIT %(limit)s;
