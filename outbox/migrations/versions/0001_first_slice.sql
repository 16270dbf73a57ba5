-- The decision is also the idempotency record: effects and messages are written only if its row is new.
CREATE TABLE decisions (
    id              uuid PRIMARY KEY,
    agent           text NOT NULL CHECK (agent <> ''),
    event_id        text NOT NULL CHECK (event_id <> ''),
    event_source    text NOT NULL,
    event_type      text NOT NULL,
    event_at        timestamptz NOT NULL,
    entity          text NOT NULL,
    entity_id       text NOT NULL,
    topic           text NOT NULL,
    partition       integer NOT NULL CHECK (partition >= 0),
    "offset"        bigint NOT NULL CHECK ("offset" >= 0),
    history         jsonb NOT NULL,
    brain           text NOT NULL CHECK (brain <> ''),
    model           text,
    outcome         text NOT NULL CHECK (outcome <> ''),
    reason          text NOT NULL,
    confidence      double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    fallback_reason text,
    messages        jsonb NOT NULL CHECK (jsonb_typeof(messages) = 'array'),
    status          text NOT NULL CHECK (status IN ('committed', 'held', 'rejected', 'shadow')),
    decided_at      timestamptz NOT NULL,
    committed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (agent, event_id)
);
CREATE INDEX decisions_by_entity ON decisions (entity, entity_id, decided_at DESC);
CREATE INDEX decisions_by_time ON decisions (decided_at DESC, id);

-- Pending messages only: the relay deletes what Kafka has acknowledged.
CREATE TABLE outbox_messages (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane         smallint NOT NULL CHECK (lane BETWEEN 0 AND 63),
    message_id   text NOT NULL,
    topic        text NOT NULL CHECK (topic <> ''),
    key          bytea NOT NULL,
    value        bytea,
    headers      jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'array'),
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The Kafka transaction it was last sent in, in the fenced mode only.
    batch_id     uuid
);
CREATE INDEX outbox_messages_by_lane ON outbox_messages (lane, seq);

-- One row per lane: who may publish it, until when by the database's clock. The epoch counts changes of owner.
CREATE TABLE outbox_lanes (
    lane         smallint PRIMARY KEY CHECK (lane BETWEEN 0 AND 63),
    owner        text,
    epoch        bigint NOT NULL DEFAULT 0,
    leased_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO outbox_lanes (lane) SELECT generate_series(0, 63);

-- The workers that are alive: the lanes are shared fairly among them.
CREATE TABLE outbox_workers (
    owner      text PRIMARY KEY,
    seen_until timestamptz NOT NULL
);

-- Tells this outbox from others that share its Kafka cluster.
CREATE TABLE outbox_identity (
    id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    one boolean NOT NULL DEFAULT true UNIQUE CHECK (one)
);
INSERT INTO outbox_identity DEFAULT VALUES;

-- Messages Kafka will never take (too large, forbidden), kept with the reason.
CREATE TABLE outbox_dead (
    seq          bigint PRIMARY KEY,
    lane         smallint NOT NULL,
    message_id   text NOT NULL,
    topic        text NOT NULL,
    key          bytea NOT NULL,
    value        bytea,
    headers      jsonb NOT NULL,
    committed_at timestamptz NOT NULL,
    reason       text NOT NULL,
    died_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Input nobody could process, with its original bytes and where it came from.
CREATE TABLE dead_letters (
    id          uuid PRIMARY KEY,
    consumer    text NOT NULL CHECK (consumer <> ''),
    reason      text NOT NULL CHECK (reason <> ''),
    detail      text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    key         bytea,
    value       bytea,
    headers     jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'array'),
    died_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letters_by_time ON dead_letters (died_at DESC, id);
