-- name: now
-- Asked every second while somebody looks: everything is counted up to a bound, and every count has an index.
SELECT
    statement_timestamp() AS at,
    (
        SELECT count(*)
        FROM (
            SELECT FROM approvals WHERE answer IS NULL AND expires_at > statement_timestamp() LIMIT %(at_most)s + 1
        ) AS open
    ) AS waiting,
    (SELECT count(*) FROM (SELECT FROM dead_letters WHERE replayed_at IS NULL LIMIT %(at_most)s + 1) AS open) AS dead_letters,
    (SELECT count(*) FROM (SELECT FROM outbox_dead LIMIT %(at_most)s + 1) AS open) AS buried,
    (SELECT count(*) FROM (SELECT FROM outbox_messages LIMIT %(at_most)s + 1) AS open) AS pending,
    (
        SELECT coalesce(json_agg(newest ORDER BY place), '[]')
        FROM (
            SELECT
                row_number() OVER (ORDER BY decided_at DESC, id DESC) AS place,
                id::text, agent, event_type, entity, entity_id, outcome, status, brain, decided_at
            FROM decisions
            ORDER BY decided_at DESC, id DESC
            LIMIT %(newest)s
        ) AS newest
    ) AS decisions;

-- name: rates
-- Decisions of each of these agents in the last minute, counted up to a bound by the index on agent and time. Decisions from
-- a clock that is ahead count as well.
SELECT a.agent, counted.decisions
FROM unnest(%(agents)s::text[]) AS a (agent)
CROSS JOIN LATERAL (
    SELECT count(*) AS decisions
    FROM (
        SELECT FROM decisions
        WHERE decisions.agent = a.agent AND decided_at >= statement_timestamp() - interval '1 minute'
        LIMIT %(at_most)s
    ) AS newest
) AS counted;
