-- What each worker says of itself every few seconds, of every set, shadows and rebuilds too; `outbox_workers` are those
-- that share the lanes, and workers of before would count others there as well. A row is changed in place: no column that
-- changes has an index, and there is room for the next version on the page.
CREATE TABLE workers (
    -- As in outbox_lanes.owner.
    name       text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('live', 'shadow', 'rebuild')),
    agent_set  text NOT NULL CHECK (agent_set <> ''),
    agents     text[] NOT NULL,
    release    text NOT NULL,
    -- Where people reach its HTTP interface; NULL where it has none.
    address    text,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- It said that it stops; NULL with an old seen_at: it was killed, or is cut off.
    stopped_at timestamptz,
    -- Partitions, what is in flight, checks: `outbox.workers` says what is in it, and bounds it.
    state      jsonb NOT NULL CHECK (jsonb_typeof(state) = 'object')
) WITH (fillfactor = 50);
