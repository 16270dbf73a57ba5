-- A refund of ours is told of after it was committed, unless PostgreSQL was restored to an earlier time since: then it is
-- told of first, taken for somebody else's, and made again afterwards. It is one refund.
ALTER TABLE given_back ADD COLUMN own_refund_id uuid;

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
    INTO others_minor
    FROM given_back AS g
    WHERE payment_id = NEW.payment_id
      AND NOT EXISTS (SELECT FROM refunds AS r WHERE r.refund_id = g.own_refund_id);
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
