-- name: recorded_page
-- Decisions of one partition in the order of the log, after the last one of the page before. The messages are a text:
-- jsonb would be read twice.
SELECT
    id::text, agent, event_id, topic, partition, "offset", status, brain, model, fallback_reason, outcome, reason,
    confidence, history::text, messages::text
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
    id::text, agent, event_id, topic, partition, "offset", status, brain, model, fallback_reason, outcome, reason,
    confidence, history::text, messages::text
FROM decisions
WHERE id = %(id)s::uuid;

-- name: replies_of
-- The newest last.
SELECT c.agent, c.event_id, c.prompt_sha256, c.model, c.reply
FROM unnest(%(agents)s::text[], %(event_ids)s::text[]) AS e (agent, event_id)
JOIN llm_calls AS c ON c.agent = e.agent AND c.event_id = e.event_id
WHERE c.reply IS NOT NULL
ORDER BY c.called_at, c.id;

-- name: place_of_event
-- Where an agent decided on an event of this entity.
SELECT partition, "offset"
FROM decisions
WHERE entity = %(entity)s AND entity_id = %(entity_id)s AND event_id = %(event_id)s
ORDER BY "offset"
LIMIT 1;

-- name: dead_letter_at
-- Whether an agent gave up the event at this place.
SELECT 1
FROM dead_letters
WHERE consumer = %(agent)s AND topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s
LIMIT 1;
