-- part: recorded
-- History and messages are texts: jsonb would be read twice.
SELECT
    id::text, agent, event_source, event_id, topic, partition, "offset", status, brain, model, fallback_reason,
    outcome, reason, confidence, plain_history(history)::text AS history,
    coalesce(whole_messages, message_ids(messages))::text AS messages, not_kept IS NULL AS contents_kept, code_id
FROM whole_decisions

-- name: recorded_page
-- Decisions of one partition in the order of the log, after the last one of the page before.
{recorded}
WHERE topic = %(topic)s
  AND partition = %(partition)s
  AND ("offset", agent) > (%(after_offset)s, %(after_agent)s)
  AND "offset" < %(end)s
  AND agent = ANY (%(agents)s::text[])
ORDER BY "offset", agent
LIMIT %(limit)s;

-- name: recorded
{recorded}
WHERE id = %(id)s::uuid;

-- name: recorded_about
{recorded}
WHERE agent = %(agent)s AND event_source = %(event_source)s AND event_id = %(event_id)s;

-- name: places_of_event
-- Where agents decided on events of this entity with this id; a source that is NULL is any.
SELECT event_source, partition, min("offset") AS "offset"
FROM decisions
WHERE entity = %(entity)s
  AND entity_id = %(entity_id)s
  AND event_id = %(event_id)s
  AND (%(event_source)s::text IS NULL OR event_source = %(event_source)s)
GROUP BY event_source, partition
ORDER BY event_source, partition;

-- name: deciding_codes
-- What decisions were made by.
SELECT id, version, rules_hash, settings, release, libraries FROM code_versions WHERE id = ANY (%(ids)s::integer[]);

-- name: dead_letter_at
-- Whether an agent gave up the event at this offset.
SELECT 1
FROM dead_letters
WHERE consumer = %(agent)s AND topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s
LIMIT 1;
