-- What others gave back of captures: chargebacks of banks, and refunds that are not of this database. They are facts: the
-- money is gone, so none is refused for going beyond what was captured. A refund of ours is.
CREATE TABLE given_back (
    given_back_id uuid PRIMARY KEY,
    decision_id   uuid NOT NULL REFERENCES decisions,
    kind          text NOT NULL CHECK (kind IN ('chargeback', 'refund')),
    payment_id    text NOT NULL,
    order_id      text NOT NULL,
    amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX given_back_by_payment ON given_back (payment_id);
CREATE INDEX given_back_by_decision ON given_back (decision_id);
CREATE TRIGGER given_back_stays BEFORE UPDATE OR DELETE ON given_back FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One after another of each payment: whoever comes second sees what the first has written.
CREATE FUNCTION lock_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.payment_id, 1));
    RETURN NEW;
END
$$;
CREATE TRIGGER given_back_locks BEFORE INSERT ON given_back FOR EACH ROW EXECUTE FUNCTION lock_payment();
CREATE TRIGGER refunds_lock BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION lock_payment();

CREATE OR REPLACE FUNCTION count_refund() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    capture captures;
    others_minor bigint;
BEGIN
    UPDATE captures SET refunded_minor = refunded_minor + NEW.amount_minor
    WHERE payment_id = NEW.payment_id
    RETURNING * INTO capture;
    -- An amount in another currency cannot be compared: nothing more is given back.
    SELECT coalesce(sum(CASE WHEN currency = capture.currency THEN amount_minor ELSE capture.captured_minor END), 0)
    INTO others_minor FROM given_back WHERE payment_id = NEW.payment_id;
    IF capture.refunded_minor + others_minor > capture.captured_minor THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = 'given_back_at_most_what_was_captured',
            MESSAGE = concat(
                'given_back_at_most_what_was_captured: payment ', NEW.payment_id, ': ', capture.refunded_minor,
                ' refunded and ', others_minor, ' given back by others, ', capture.captured_minor, ' captured'
            );
    END IF;
    RETURN NULL;
END
$$;
