-- name: record_calls
-- Prompt and reply are apart where there is a partition for them, as with decisions.
WITH input AS (
    SELECT c.*, apart.name IS NOT NULL AS is_apart
    FROM unnest(
        %(ids)s::uuid[], %(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[], %(decision_ids)s::uuid[],
        %(attempts)s::integer[], %(models)s::text[], %(prompt_sha256s)s::text[], %(prompts)s::text[], %(replies)s::text[],
        %(prompt_tokens)s::bigint[], %(completion_tokens)s::bigint[], %(latencies_ms)s::bigint[], %(errors)s::text[],
        %(called_ats)s::timestamptz[]
    ) AS c (
        id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, prompt_tokens,
        completion_tokens, latency_ms, error, called_at
    )
    LEFT JOIN retention AS apart
        ON apart.name = 'llm_call_contents'
        AND c.called_at >= apart.from_at
        AND c.called_at < apart.until_at
        AND NOT EXISTS (SELECT FROM outbox_workers WHERE seen_until > clock_timestamp() AND NOT reads_contents)
), inserted AS (
    INSERT INTO llm_calls (
        id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, prompt_tokens,
        completion_tokens, latency_ms, error, called_at, is_apart
    )
    SELECT
        id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256,
        CASE WHEN is_apart THEN '' ELSE prompt END, CASE WHEN is_apart THEN left(reply, 0) ELSE reply END, prompt_tokens,
        completion_tokens, latency_ms, error, called_at, is_apart
    FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, is_apart
)
INSERT INTO llm_call_contents (id, at, prompt, reply)
SELECT input.id, input.called_at, input.prompt, input.reply
FROM input
JOIN inserted ON inserted.id = input.id AND inserted.is_apart;

-- name: replies
-- The newest comes last and so stays, where a prompt was answered twice. A call whose source was not kept may be about
-- any: the prompt says which.
SELECT e.agent, e.event_source, e.event_id, c.prompt_sha256, c.model, c.whole_reply AS reply
FROM unnest(%(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[]) AS e (agent, event_source, event_id)
JOIN whole_llm_calls AS c
    ON c.agent = e.agent AND c.event_id = e.event_id AND coalesce(c.event_source, e.event_source) = e.event_source
WHERE c.whole_reply IS NOT NULL
ORDER BY c.called_at, c.id;
