-- What people changed, in the transaction of the change: neither is there without the other.
CREATE TABLE operator_actions (
    id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The name that is recorded, and what says that it is theirs.
    by_whom  text NOT NULL CHECK (by_whom <> ''),
    known_by text NOT NULL CHECK (known_by IN ('token', 'proxy', 'own_account', 'command_line')),
    role     text CHECK (role IN ('operate', 'approve')),
    action   text NOT NULL CHECK (action IN ('approve', 'reject', 'redrive_dead_letter', 'redrive_buried_message')),
    -- The id of the decision, of the dead letter or of the message.
    target   text NOT NULL CHECK (target <> ''),
    reason   text CHECK (reason <> '')
);
CREATE INDEX operator_actions_by_time ON operator_actions (at DESC, id DESC);
CREATE INDEX operator_actions_by_name ON operator_actions (by_whom, at DESC, id DESC);
CREATE INDEX operator_actions_by_action ON operator_actions (action, at DESC, id DESC);
CREATE INDEX operator_actions_by_target ON operator_actions (target, at DESC, id DESC);

CREATE FUNCTION keep_operator_actions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = 'operator_actions is append only';
END
$$;
CREATE TRIGGER operator_actions_stay BEFORE UPDATE OR DELETE ON operator_actions
    FOR EACH ROW EXECUTE FUNCTION keep_operator_actions();
CREATE TRIGGER operator_actions_are_not_emptied BEFORE TRUNCATE ON operator_actions
    FOR EACH STATEMENT EXECUTE FUNCTION keep_operator_actions();
