-- What people look for: a decision by an id (its event's, its story's, that of a message it published), and lists by what
-- they are filtered by, each in the order in which pages go on. One index holds all ids, as hashes (jsonb_path_ops:
-- https://www.postgresql.org/docs/current/datatype-json.html#JSON-INDEXING).
-- A large table can have its indexes made before, CONCURRENTLY and under these names: they are taken as they are.
CREATE OR REPLACE FUNCTION search_terms(event_id text, correlation_id text, messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_array(event_id, correlation_id) || jsonb_path_query_array(messages, '$[*].id')
$$;
CREATE INDEX IF NOT EXISTS decisions_by_term ON decisions USING gin (search_terms(event_id, correlation_id, messages) jsonb_path_ops);
CREATE INDEX IF NOT EXISTS decisions_by_agent ON decisions (agent, decided_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS decisions_by_outcome ON decisions (outcome, decided_at DESC, id DESC);
-- Nearly all are committed, by rules: who looks for others finds few.
CREATE INDEX IF NOT EXISTS decisions_by_status ON decisions (status, decided_at DESC, id DESC) WHERE status <> 'committed';
CREATE INDEX IF NOT EXISTS decisions_by_brain ON decisions (brain, decided_at DESC, id DESC) WHERE brain <> 'rules';

CREATE INDEX IF NOT EXISTS dead_letters_by_reason ON dead_letters (reason, died_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS dead_letters_by_consumer ON dead_letters (consumer, died_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS dead_letters_by_topic ON dead_letters (topic, died_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS dead_letters_open ON dead_letters (died_at DESC, id DESC) WHERE replayed_at IS NULL;
CREATE INDEX IF NOT EXISTS dead_letters_redriven ON dead_letters (died_at DESC, id DESC) WHERE replayed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_dead_by_topic ON outbox_dead (topic, seq DESC);

CREATE INDEX IF NOT EXISTS llm_calls_by_decision ON llm_calls (decision_id);
CREATE INDEX IF NOT EXISTS llm_calls_by_agent ON llm_calls (agent, called_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS llm_calls_by_model ON llm_calls (model, called_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS llm_calls_failed ON llm_calls (called_at DESC, id DESC) WHERE error IS NOT NULL;
CREATE INDEX IF NOT EXISTS llm_calls_valid ON llm_calls (called_at DESC, id DESC) WHERE error IS NULL;
CREATE INDEX IF NOT EXISTS approvals_waiting ON approvals (asked_at DESC, decision_id DESC) WHERE answer IS NULL;
