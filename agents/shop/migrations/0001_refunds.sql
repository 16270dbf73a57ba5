-- Refunds and their ledger. A database of before the shop was a domain of its own has them already.
DO $migration$
BEGIN
    IF to_regclass('refunds') IS NOT NULL THEN
        RETURN;
    END IF;

    -- What was taken from customers, as far as something of it was given back: the bound of every refund.
    CREATE TABLE captures (
        payment_id     text PRIMARY KEY,
        order_id       text NOT NULL,
        currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        captured_minor bigint NOT NULL CHECK (captured_minor > 0),
        refunded_minor bigint NOT NULL DEFAULT 0,
        CONSTRAINT refunded_at_most_what_was_captured CHECK (refunded_minor BETWEEN 0 AND captured_minor),
        UNIQUE (payment_id, order_id, currency)
    );

    CREATE TABLE refunds (
        refund_id    uuid PRIMARY KEY,
        decision_id  uuid NOT NULL REFERENCES decisions,
        payment_id   text NOT NULL,
        order_id     text NOT NULL,
        customer_id  text NOT NULL,
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        currency     text NOT NULL,
        reason       text NOT NULL,
        issued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        FOREIGN KEY (payment_id, order_id, currency) REFERENCES captures (payment_id, order_id, currency),
        UNIQUE (refund_id, order_id, currency)
    );
    CREATE INDEX refunds_by_order ON refunds (order_id);
    CREATE INDEX refunds_by_payment ON refunds (payment_id);
    CREATE INDEX refunds_by_decision ON refunds (decision_id);

    -- Double entry: each row debits one account and credits another with the same amount.
    CREATE TABLE ledger_entries (
        entry_id     uuid PRIMARY KEY,
        refund_id    uuid NOT NULL,
        order_id     text NOT NULL,
        debit        text NOT NULL CHECK (debit <> ''),
        credit       text NOT NULL CHECK (credit <> ''),
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        currency     text NOT NULL,
        posted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        CHECK (debit <> credit),
        FOREIGN KEY (refund_id, order_id, currency) REFERENCES refunds (refund_id, order_id, currency)
    );
    CREATE INDEX ledger_entries_by_refund ON ledger_entries (refund_id);
    CREATE INDEX ledger_entries_by_order ON ledger_entries (order_id);

    -- The balance of every account; all balances of a currency add up to 0.
    CREATE VIEW ledger_balances AS
    SELECT account, currency, sum(amount_minor)::bigint AS balance_minor
    FROM (
        SELECT debit AS account, currency, amount_minor FROM ledger_entries
        UNION ALL
        SELECT credit, currency, -amount_minor FROM ledger_entries
    ) AS sides
    GROUP BY account, currency;

    CREATE FUNCTION count_refund() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE captures SET refunded_minor = refunded_minor + NEW.amount_minor WHERE payment_id = NEW.payment_id;
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER refunds_are_counted AFTER INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION count_refund();

    -- A refund without its booking, or a booking without its refund, cannot be committed.
    CREATE FUNCTION check_booking() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        wanted bigint;
        booked bigint;
    BEGIN
        SELECT amount_minor INTO wanted FROM refunds WHERE refund_id = NEW.refund_id;
        SELECT coalesce(sum(amount_minor), 0) INTO booked FROM ledger_entries WHERE refund_id = NEW.refund_id;
        IF booked <> wanted THEN
            RAISE integrity_constraint_violation
                USING MESSAGE = concat('refund ', NEW.refund_id, ': ', booked, ' booked, ', wanted, ' refunded');
        END IF;
        RETURN NULL;
    END
    $$;
    CREATE CONSTRAINT TRIGGER refunds_are_booked AFTER INSERT ON refunds
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_booking();
    CREATE CONSTRAINT TRIGGER entries_add_up AFTER INSERT ON ledger_entries
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_booking();

    -- What was given back and booked stays; a mistake is put right by another row.
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE integrity_constraint_violation USING MESSAGE = TG_TABLE_NAME || ' is append only';
    END
    $$;
    CREATE TRIGGER refunds_stay BEFORE UPDATE OR DELETE ON refunds FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON ledger_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
END
$migration$;
