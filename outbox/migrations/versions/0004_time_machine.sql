-- A dead letter is put back where it came from once, and stays here as history.
ALTER TABLE dead_letters
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN replayed_by text CHECK (replayed_by <> ''),
    ADD CONSTRAINT a_replay_says_who_and_when CHECK ((replayed_at IS NULL) = (replayed_by IS NULL));
CREATE INDEX dead_letters_to_replay ON dead_letters (consumer, recorded_at, id) WHERE replayed_at IS NULL;

-- Shadows are compared with the live agents while they run.
CREATE INDEX decisions_of_shadows ON decisions (agent, decided_at DESC, id) WHERE status = 'shadow';

-- A replay reads what was decided, and given up, in the order of the log.
CREATE INDEX decisions_by_place ON decisions (topic, partition, "offset", agent);
CREATE INDEX dead_letters_by_place ON dead_letters (consumer, topic, partition, "offset");
