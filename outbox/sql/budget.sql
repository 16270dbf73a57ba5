-- name: lock_budgets
-- Taken first and in a statement of its own, so that the next one sees every reservation committed before; always from
-- the lowest key up, so that nobody waits in a circle.
SELECT pg_advisory_xact_lock(%(budget_lock)s, key) FROM unnest(%(keys)s::integer[]) AS key;

-- name: forget
-- What nobody settled for a day after it expired will not be settled any more.
DELETE FROM llm_reservations WHERE agent = ANY (%(agents)s) AND expires_at < clock_timestamp() - interval '1 day';

-- name: reserve
-- Goes through what is asked for in its order, agent by agent; what does not fit is left out, and the next may fit.
WITH RECURSIVE today AS (
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day
), asked AS (
    SELECT id, agent, tokens, tokens_per_day, row_number() OVER (PARTITION BY agent ORDER BY position) AS turn
    FROM unnest(%(ids)s::uuid[], %(agents)s::text[], %(tokens)s::bigint[], %(limits)s::bigint[])
        WITH ORDINALITY AS a (id, agent, tokens, tokens_per_day, position)
), walk AS (
    SELECT
        asked.agent,
        0::bigint AS turn,
        asked.tokens_per_day
            - coalesce((SELECT used_tokens FROM llm_budgets AS b WHERE b.agent = asked.agent AND b.day = today.day), 0)
            - coalesce((
                SELECT sum(r.tokens)
                FROM llm_reservations AS r
                WHERE r.agent = asked.agent AND r.day = today.day AND r.expires_at > clock_timestamp()
            ), 0) AS free,
        false AS fits
    FROM asked, today
    WHERE asked.turn = 1
    UNION ALL
    SELECT
        asked.agent, asked.turn,
        CASE WHEN asked.tokens <= walk.free THEN walk.free - asked.tokens ELSE walk.free END,
        asked.tokens <= walk.free
    FROM walk
    JOIN asked ON asked.agent = walk.agent AND asked.turn = walk.turn + 1
)
INSERT INTO llm_reservations (id, agent, day, tokens, expires_at)
SELECT asked.id, asked.agent, today.day, asked.tokens, clock_timestamp() + %(expires_in)s
FROM asked
JOIN walk USING (agent, turn), today
WHERE walk.fits
RETURNING id::text;

-- name: settle
-- A reservation is settled by whoever deletes it, so once. Budgets are taken in their order: nobody waits in a circle.
WITH settled AS (
    DELETE FROM llm_reservations
    USING unnest(%(ids)s::uuid[], %(used_tokens)s::bigint[]) AS u (id, used_tokens)
    WHERE llm_reservations.id = u.id
    RETURNING llm_reservations.agent, llm_reservations.day, u.used_tokens
)
INSERT INTO llm_budgets (agent, day, used_tokens)
SELECT agent, day, sum(used_tokens) FROM settled GROUP BY agent, day ORDER BY agent, day
ON CONFLICT (agent, day) DO UPDATE SET used_tokens = llm_budgets.used_tokens + excluded.used_tokens;
