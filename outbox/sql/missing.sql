-- name: answered_offsets
-- Of which offsets of a partition there is a decision or a dead letter of this consumer.
SELECT "offset"
FROM decisions
WHERE topic = %(topic)s
  AND partition = %(partition)s
  AND "offset" BETWEEN %(first)s AND %(last)s
  AND agent = %(consumer)s
UNION
SELECT "offset"
FROM dead_letters
WHERE consumer = %(consumer)s
  AND topic = %(topic)s
  AND partition = %(partition)s
  AND "offset" BETWEEN %(first)s AND %(last)s;

-- name: answered_events
-- Which of these events an agent has decided on, by their positions in the arrays, from 1 on: a copy lies at another
-- offset than the one that was decided on.
SELECT e.position
FROM unnest(%(event_sources)s::text[], %(event_ids)s::text[]) WITH ORDINALITY AS e (event_source, event_id, position)
JOIN decisions AS d ON d.agent = %(consumer)s AND d.event_source = e.event_source AND d.event_id = e.event_id;
