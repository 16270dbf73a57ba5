-- name: emissions
-- What the newest committed decisions of each of these agents published: the type of each message, and where it goes. A bounded
-- number of rows of each, by the index on agent and time, however many decisions there are. A message without a value, or
-- one that is no event, has no type and says nothing here.
SELECT a.agent, m.topic, m.event, count(DISTINCT m.id) AS decisions, max(m.decided_at) AS last_at
FROM unnest(%(agents)s::text[]) AS a (agent)
CROSS JOIN LATERAL (
    SELECT d.id, d.decided_at, message ->> 'topic' AS topic, message -> 'value' ->> 'type' AS event
    FROM (
        SELECT id, decided_at, whole_messages AS messages
        FROM whole_decisions
        -- Not `=`: then the order by time alone were the same, and an agent with few decisions cost all those of others.
        WHERE whole_decisions.agent BETWEEN a.agent AND a.agent AND status = 'committed'
        ORDER BY whole_decisions.agent, decided_at DESC, id DESC
        LIMIT %(looked_at)s
    ) AS d
    CROSS JOIN LATERAL jsonb_array_elements(d.messages) AS message
) AS m
WHERE m.topic IS NOT NULL AND m.event IS NOT NULL
GROUP BY a.agent, m.topic, m.event
ORDER BY a.agent, m.topic, m.event;
