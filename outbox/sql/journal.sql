-- name: record_calls
INSERT INTO llm_calls (
    id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, prompt_tokens,
    completion_tokens, latency_ms, error, called_at
)
SELECT *
FROM unnest(
    %(ids)s::uuid[], %(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[], %(decision_ids)s::uuid[],
    %(attempts)s::integer[], %(models)s::text[], %(prompt_sha256s)s::text[], %(prompts)s::text[], %(replies)s::text[],
    %(prompt_tokens)s::bigint[], %(completion_tokens)s::bigint[], %(latencies_ms)s::bigint[], %(errors)s::text[],
    %(called_ats)s::timestamptz[]
)
ON CONFLICT (id) DO NOTHING;

-- name: replies
-- The newest comes last and so stays, where a prompt was answered twice. A call whose source was not kept may be about
-- any: the prompt says which.
SELECT e.agent, e.event_source, e.event_id, c.prompt_sha256, c.model, c.reply
FROM unnest(%(agents)s::text[], %(event_sources)s::text[], %(event_ids)s::text[]) AS e (agent, event_source, event_id)
JOIN llm_calls AS c
    ON c.agent = e.agent AND c.event_id = e.event_id AND coalesce(c.event_source, e.event_source) = e.event_source
WHERE c.reply IS NOT NULL
ORDER BY c.called_at, c.id;
