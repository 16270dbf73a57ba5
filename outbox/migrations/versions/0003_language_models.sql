-- Every attempt to ask a language model, also those nobody decided by. Written before the decision, so it has no
-- foreign key; `decision_id` is derived from agent and event.
CREATE TABLE llm_calls (
    id                uuid PRIMARY KEY,
    agent             text NOT NULL CHECK (agent <> ''),
    event_id          text NOT NULL CHECK (event_id <> ''),
    decision_id       uuid NOT NULL,
    attempt           integer NOT NULL CHECK (attempt >= 1),
    model             text NOT NULL CHECK (model <> ''),
    prompt_sha256     text NOT NULL CHECK (prompt_sha256 ~ '^[0-9a-f]{64}$'),
    prompt            text NOT NULL,
    reply             text,
    prompt_tokens     bigint CHECK (prompt_tokens >= 0),
    completion_tokens bigint CHECK (completion_tokens >= 0),
    latency_ms        bigint NOT NULL CHECK (latency_ms >= 0),
    -- NULL means that the reply was valid, and only then: a call without a reply says what went wrong.
    error             text CHECK (error <> ''),
    called_at         timestamptz NOT NULL,
    CHECK (reply IS NOT NULL OR error IS NOT NULL)
);
CREATE INDEX llm_calls_by_event ON llm_calls (agent, event_id);
CREATE INDEX llm_calls_by_time ON llm_calls (called_at DESC, id);

-- Tokens an agent has used on a day (UTC). The limit is a setting, so it is not stored.
CREATE TABLE llm_budgets (
    agent       text NOT NULL CHECK (agent <> ''),
    day         date NOT NULL,
    used_tokens bigint NOT NULL CHECK (used_tokens >= 0),
    PRIMARY KEY (agent, day)
);

-- Tokens set aside for calls under way. What a killed worker reserved is set aside until it expires.
CREATE TABLE llm_reservations (
    id         uuid PRIMARY KEY,
    agent      text NOT NULL CHECK (agent <> ''),
    day        date NOT NULL,
    tokens     bigint NOT NULL CHECK (tokens > 0),
    expires_at timestamptz NOT NULL
);
CREATE INDEX llm_reservations_by_agent ON llm_reservations (agent, expires_at);

-- Decisions held for a person, with the reason. `content` is what an approval publishes and does, and what is published
-- without one, to the byte; jsonb would change numbers and the order of keys, so it is a text, and a person answers its
-- hash.
CREATE TABLE approvals (
    decision_id    uuid PRIMARY KEY REFERENCES decisions,
    reason         text NOT NULL CHECK (reason <> ''),
    content        text NOT NULL,
    content_sha256 text NOT NULL CHECK (content_sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
    asked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at     timestamptz NOT NULL,
    answer         text CHECK (answer IN ('approved', 'rejected', 'expired')),
    answered_by    text CHECK (answered_by <> ''),
    answered_at    timestamptz,
    -- Nobody answers when an approval expires.
    CONSTRAINT an_answer_says_who_and_when CHECK (
        (answered_at IS NOT NULL) = (answer IS NOT NULL)
        AND (answered_by IS NOT NULL) = (coalesce(answer, 'expired') <> 'expired')
    )
);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE answer IS NULL;

-- Decided once: an answer stays, and what it was asked for stays from the beginning.
CREATE FUNCTION keep_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.answer IS NOT NULL
        OR (NEW.decision_id, NEW.reason, NEW.content, NEW.asked_at, NEW.expires_at)
            IS DISTINCT FROM (OLD.decision_id, OLD.reason, OLD.content, OLD.asked_at, OLD.expires_at)
    THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'approvals are answered once and stay as they are';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER answers_stay BEFORE UPDATE OR DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION keep_answer();
