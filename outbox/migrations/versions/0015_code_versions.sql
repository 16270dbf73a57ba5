-- Which code an agent decides by; one row for each combination that ever ran.
CREATE TABLE code_versions (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent         text NOT NULL,
    version       text NOT NULL,
    rules_hash    text NOT NULL,
    settings_hash text NOT NULL,
    release       text NOT NULL,
    libraries     jsonb NOT NULL,
    -- What the hashes are of: values, and the hashes of modules.
    settings      jsonb NOT NULL,
    sources       jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (agent, version, rules_hash, settings_hash, release, libraries)
);
CREATE INDEX code_versions_by_agent ON code_versions (agent, id);

-- NULL: by a worker that does not say it. No foreign key: every decision would lock the row it names.
ALTER TABLE decisions ADD COLUMN IF NOT EXISTS code_id integer;
-- Decisions of one code, and its first and its last; those of before are not in it.
CREATE INDEX IF NOT EXISTS decisions_by_code ON decisions (code_id, decided_at) WHERE code_id IS NOT NULL;
