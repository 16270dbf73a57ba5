-- The schema version of each domain is its highest number here.
CREATE TABLE domain_migrations (
    domain     text NOT NULL,
    number     integer NOT NULL CHECK (number > 0),
    name       text NOT NULL,
    -- Of the file as it was applied: one that was changed afterwards is refused.
    sha256     text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain, number)
);
