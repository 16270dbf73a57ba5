-- name: told
-- Messages of these types among those of the newest committed decisions of each of these agents, the newest first: a bounded
-- number of rows of each, by the index on agent and time.
SELECT d.id::text AS decision_id, d.decided_at, message -> 'value' ->> 'type' AS type, message -> 'value' -> 'data' AS data
FROM unnest(%(agents)s::text[]) AS a (agent)
CROSS JOIN LATERAL (
    SELECT id, decided_at, whole_messages AS messages
    FROM whole_decisions
    -- Not `=`: then the order by time alone were the same, and an agent with few decisions cost all those of others.
    WHERE whole_decisions.agent BETWEEN a.agent AND a.agent AND status = 'committed'
    ORDER BY whole_decisions.agent, decided_at DESC, id DESC
    LIMIT %(looked_at)s
) AS d
CROSS JOIN LATERAL jsonb_array_elements(d.messages) AS message
WHERE message -> 'value' ->> 'type' = ANY (%(types)s::text[])
ORDER BY d.decided_at DESC, d.id DESC;
