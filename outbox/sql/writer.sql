-- name: lock_lanes
-- Taken first in every transaction that brings messages, so that commits of one lane happen in the order in which their
-- `seq` is drawn; always from the lowest lane up, so that nobody waits in a circle.
SELECT pg_advisory_xact_lock(%(lane_lock)s, lane) FROM unnest(%(lanes)s::integer[]) AS lane;

-- part: decision_columns
-- All but JSON, status and fan_out, which are settled as they are written.
id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset", brain, model,
        outcome, reason, confidence, fallback_reason, decided_at, correlation_id, chain_depth, code_id

-- name: record_decisions
-- A message is inserted only with the decision row it belongs to, and a decision that is there already brings neither
-- its row nor its messages a second time. One that answers an agent gets the number of messages its correlation has with
-- it (from the largest before it: one probe of an index), and is refused beyond the limit. Whichever constraint says that
-- it is there: one of before migration 0005 has another id. What is JSON itself comes as a text within the JSON: whatever
-- is in it, it is one value. Workers of before migration 0009 read histories only as lists of offsets, and those of before
-- 0017 read messages only in the row. Else the row has their ids and the rest is in its partition, if there is one.
WITH input AS (
    SELECT *
    FROM ROWS FROM (
        json_to_recordset(%(decisions)s::json) AS (
            id uuid, agent text, event_id text, event_source text, event_type text, event_at timestamptz, entity text,
            entity_id text, topic text, partition integer, "offset" bigint, history text, brain text, model text,
            outcome text, reason text, confidence double precision, fallback_reason text, messages text,
            decided_at timestamptz, correlation_id text, chain_depth integer, status text, message_count integer,
            code_id integer
        )
    ) WITH ORDINALITY AS t (
        id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset", history,
        brain, model, outcome, reason, confidence, fallback_reason, messages, decided_at, correlation_id, chain_depth,
        status, message_count, code_id, position
    )
), apart AS (
    SELECT from_at, until_at
    FROM retention
    WHERE name = 'decision_contents'
      AND NOT EXISTS (SELECT FROM outbox_workers WHERE seen_until > clock_timestamp() AND NOT reads_contents)
), counted AS (
    SELECT
        input.*,
        messages <> '[]' AND EXISTS (
            SELECT FROM apart WHERE input.decided_at >= apart.from_at AND input.decided_at < apart.until_at
        ) AS is_apart,
        CASE WHEN message_count IS NOT NULL THEN
            coalesce((SELECT max(d.fan_out) FROM decisions AS d WHERE d.correlation_id = input.correlation_id), 0)
            + sum(message_count) OVER (PARTITION BY correlation_id ORDER BY position)
        END AS fan_out
    FROM input
), inserted AS (
    INSERT INTO decisions ({decision_columns}, is_apart, messages, history, status, fan_out)
    SELECT
        {decision_columns},
        is_apart,
        CASE WHEN is_apart THEN message_ids(messages::jsonb) ELSE messages::jsonb END,
        CASE WHEN EXISTS (
            SELECT FROM outbox_workers WHERE seen_until > clock_timestamp() AND NOT reads_steps
        ) THEN plain_history(history::jsonb) ELSE history::jsonb END,
        CASE WHEN fan_out > %(most_messages)s THEN 'refused' ELSE status END, fan_out
    FROM counted
    -- Or `committed_at`, drawn row by row, would follow the names of correlations and contradict the messages' `seq`.
    ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING id, status, fan_out, is_apart
), contents AS (
    INSERT INTO decision_contents (id, at, messages)
    SELECT counted.id, counted.decided_at, message_contents(counted.messages::jsonb)
    FROM counted
    JOIN inserted ON inserted.id = counted.id AND inserted.is_apart
    ORDER BY counted.position
), published AS (
    INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
    SELECT m.lane, m.message_id, m.topic, convert_to(m.key, 'UTF8'), convert_to(m.value, 'UTF8'), m.headers::jsonb
    FROM ROWS FROM (
        json_to_recordset(%(messages)s::json) AS (
            decision_id uuid, lane smallint, message_id text, topic text, key text, value text, headers text
        )
    ) WITH ORDINALITY AS m (decision_id, lane, message_id, topic, key, value, headers, position)
    JOIN inserted ON inserted.id = m.decision_id AND inserted.status <> 'refused'
    ORDER BY m.position
)
SELECT id::text, status = 'refused' AS is_refused, fan_out FROM inserted;

-- name: decided
-- Which of these decisions are there, by their positions in the arrays, from 1 on.
SELECT e.position, d.status = 'refused' AS is_refused, d.fan_out
FROM unnest(%(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[])
    WITH ORDINALITY AS e (agent, event_source, event_id, position)
JOIN decisions AS d ON d.agent = e.agent AND d.event_source = e.event_source AND d.event_id = e.event_id;

-- name: tell_sources_apart
SELECT tell_sources_apart() AS is_gone;

-- name: record_dead_letter
WITH inserted AS (
    INSERT INTO dead_letters (
        id, consumer, reason, detail, topic, partition, "offset", recorded_at, key, value, headers, truncated
    )
    VALUES (
        %(id)s, %(consumer)s, %(reason)s, %(detail)s, %(topic)s, %(partition)s, %(offset)s, %(recorded_at)s,
        %(key)s, %(value)s, %(headers)s, %(truncated)s
    )
    ON CONFLICT (id) DO NOTHING
    RETURNING value
), told AS (
    INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
    SELECT m.lane, m.message_id, m.topic, m.key, m.value, m.headers::jsonb
    FROM inserted, unnest(
        %(told_message_lanes)s::smallint[], %(told_message_ids)s::text[], %(told_message_topics)s::text[],
        %(told_message_keys)s::bytea[], %(told_message_values)s::bytea[], %(told_message_headers)s::text[]
    ) WITH ORDINALITY AS m (lane, message_id, topic, key, value, headers, position)
    ORDER BY m.position
)
INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)
SELECT %(lane)s, %(message_id)s, %(message_topic)s, %(message_key)s, value, %(message_headers)s
FROM inserted
WHERE %(is_published)s;
