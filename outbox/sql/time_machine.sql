-- name: recorded_page
-- Decisions of one partition in the order of the log, after the last one of the page before. The messages are a text:
-- jsonb would be read twice.
SELECT
    id::text, agent, event_source, event_id, topic, partition, "offset", status, brain, model, fallback_reason,
    outcome, reason, confidence, history::text, messages::text
FROM decisions
WHERE topic = %(topic)s
  AND partition = %(partition)s
  AND ("offset", agent) > (%(after_offset)s, %(after_agent)s)
  AND "offset" < %(end)s
  AND agent = ANY (%(agents)s::text[])
ORDER BY "offset", agent
LIMIT %(limit)s;

-- name: recorded
-- The columns are those of `recorded_page`.
SELECT
    id::text, agent, event_source, event_id, topic, partition, "offset", status, brain, model, fallback_reason,
    outcome, reason, confidence, history::text, messages::text
FROM decisions
WHERE id = %(id)s::uuid;

-- name: recorded_about
-- The columns are those of `recorded_page`.
SELECT
    id::text, agent, event_source, event_id, topic, partition, "offset", status, brain, model, fallback_reason,
    outcome, reason, confidence, history::text, messages::text
FROM decisions
WHERE agent = %(agent)s AND event_source = %(event_source)s AND event_id = %(event_id)s;

-- name: replies_of
-- The newest last.
SELECT e.agent, e.event_source, e.event_id, c.prompt_sha256, c.model, c.reply
FROM unnest(%(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[]) AS e (agent, event_source, event_id)
JOIN llm_calls AS c
    ON c.agent = e.agent AND c.event_id = e.event_id AND coalesce(c.event_source, e.event_source) = e.event_source
WHERE c.reply IS NOT NULL
ORDER BY c.called_at, c.id;

-- name: places_of_event
-- Where agents decided on events of this entity with this id; a source that is NULL is any.
SELECT event_source, partition, min("offset")
FROM decisions
WHERE entity = %(entity)s
  AND entity_id = %(entity_id)s
  AND event_id = %(event_id)s
  AND (%(event_source)s::text IS NULL OR event_source = %(event_source)s)
GROUP BY event_source, partition
ORDER BY event_source, partition;

-- name: dead_letter_at
-- Whether an agent gave up the event at this place.
SELECT 1
FROM dead_letters
WHERE consumer = %(agent)s AND topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s
LIMIT 1;
