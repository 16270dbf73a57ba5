-- name: agreements
-- Compared is what both have decided on, as long as both have their contents. Messages are the same when topics, keys and values are; their ids follow from
-- the event. What only the live agent decided on counts from the first to the last event that the shadow did, in each
-- partition: what lies before or after it has not read.
WITH shadows AS (
    SELECT agent, split_part(agent, '@', 1) AS live, event_source, event_id, outcome, whole_messages AS messages, topic, partition, "offset"
    FROM whole_decisions
    WHERE status = 'shadow' AND (%(label)s::text IS NULL OR split_part(agent, '@', 2) = %(label)s)
), compared AS (
    SELECT
        s.agent,
        count(*) AS decisions,
        count(*) FILTER (WHERE s.messages IS NOT NULL AND l.whole_messages IS NOT NULL) AS compared,
        count(*) FILTER (
            WHERE s.outcome = l.outcome AND s.messages IS NOT NULL AND l.whole_messages IS NOT NULL
        ) AS same_outcome,
        count(*) FILTER (WHERE without_ids(s.messages) = without_ids(l.whole_messages)) AS same_messages,
        count(*) FILTER (WHERE s.outcome = l.outcome AND without_ids(s.messages) = without_ids(l.whole_messages)) AS same
    FROM shadows AS s
    LEFT JOIN whole_decisions AS l
        ON l.agent = s.live AND l.event_source = s.event_source AND l.event_id = s.event_id
    GROUP BY s.agent
), read AS (
    SELECT agent, live, topic, partition, min("offset") AS first, max("offset") AS last
    FROM shadows
    GROUP BY agent, live, topic, partition
), missed AS (
    SELECT r.agent, count(*) AS only_live
    FROM read AS r
    JOIN decisions AS l
        ON l.agent = r.live AND l.topic = r.topic AND l.partition = r.partition AND l."offset" BETWEEN r.first AND r.last
    WHERE NOT EXISTS (
        SELECT FROM decisions AS s
        WHERE s.agent = r.agent AND s.event_source = l.event_source AND s.event_id = l.event_id
    )
    GROUP BY r.agent
)
SELECT
    c.agent AS shadow, c.decisions, c.compared, c.same_outcome, c.same_messages, c.same,
    coalesce(m.only_live, 0) AS only_live,
    (SELECT count(*) FROM dead_letters AS d WHERE d.consumer = c.agent) AS dead_letters
FROM compared AS c
LEFT JOIN missed AS m ON m.agent = c.agent
ORDER BY c.agent;

-- name: disagreements
-- The newest first. Another history explains most of them: the versions remember differently, or the shadow began when
-- Kafka had dropped what the live agent still remembers.
SELECT
    s.event_source, s.event_id, s.event_type, s.entity, s.entity_id, s.decided_at,
    without_ids(s.whole_messages) = without_ids(l.whole_messages) AS same_messages,
    s.history ->> 'sha256' = l.history ->> 'sha256' AS same_history,
    s.id::text AS shadow_decision_id, s.outcome AS shadow_outcome, s.reason AS shadow_reason, s.confidence AS shadow_confidence,
    s.brain AS shadow_brain,
    l.id::text AS live_decision_id, l.outcome AS live_outcome, l.reason AS live_reason, l.confidence AS live_confidence,
    l.brain AS live_brain
FROM whole_decisions AS s
JOIN whole_decisions AS l
    ON l.agent = split_part(s.agent, '@', 1) AND l.event_source = s.event_source AND l.event_id = s.event_id
WHERE s.status = 'shadow'
  AND s.agent = %(shadow)s
  AND (s.outcome <> l.outcome OR without_ids(s.whole_messages) <> without_ids(l.whole_messages))
  AND (
      %(before)s::uuid IS NULL
      OR (s.decided_at, s.id) < (SELECT decided_at, id FROM decisions WHERE id = %(before)s::uuid)
  )
ORDER BY s.decided_at DESC, s.id DESC
LIMIT %(limit)s;
