-- Tests that are not run any more, each by the decision that said so.
CREATE TABLE quarantines (
    quarantine_id  uuid PRIMARY KEY,
    decision_id    uuid NOT NULL REFERENCES decisions,
    repository_id  text NOT NULL,
    test           text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (repository_id, test)
);
CREATE INDEX quarantines_by_decision ON quarantines (decision_id);
