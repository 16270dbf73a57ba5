-- What has to follow an event that was decided on. One that is met in time, or void, is removed.
CREATE TABLE expectations (
    -- Also that of the event which tells of a miss.
    id           uuid PRIMARY KEY,
    -- No foreign key: every decision would be locked by it.
    decision_id  uuid NOT NULL,
    name         text NOT NULL,
    agent        text NOT NULL,
    entity       text NOT NULL,
    entity_id    text NOT NULL,
    event_source text NOT NULL,
    event_id     text NOT NULL,
    event_at     timestamptz NOT NULL,
    -- Of the timeline of the entity.
    partition    integer NOT NULL,
    -- Until when, by the times of events.
    due_at       timestamptz NOT NULL,
    -- met_late, void_late: what was awaited, or what makes it void, came after all. unknown: nobody remembers.
    state        text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'missed', 'met_late', 'void_late', 'unknown')),
    missed_at    timestamptz,
    -- The event that ended it after the miss: when it happened, and its id.
    ended_at     timestamptz,
    ended_by     text
);
CREATE INDEX expectations_due ON expectations (agent, name, partition, due_at, id) WHERE state = 'open';
CREATE INDEX expectations_missed ON expectations (agent, name, partition, missed_at, id) WHERE state = 'missed';
CREATE INDEX expectations_by_due ON expectations (due_at DESC, id DESC);
CREATE INDEX expectations_by_state ON expectations (state, due_at DESC, id DESC);
CREATE INDEX expectations_by_entity ON expectations (entity_id, due_at DESC, id DESC);
