-- name: know_capture
INSERT INTO captures (payment_id, order_id, currency, captured_minor)
VALUES (%(payment_id)s, %(order_id)s, %(currency)s, %(captured_minor)s)
ON CONFLICT (payment_id) DO NOTHING;

-- name: record_refund
-- A trigger adds the amount to what was refunded of the capture, whose CHECK bounds it.
INSERT INTO refunds (refund_id, decision_id, payment_id, order_id, customer_id, amount_minor, currency, reason)
VALUES (
    %(refund_id)s, %(decision_id)s, %(payment_id)s, %(order_id)s, %(customer_id)s, %(amount_minor)s, %(currency)s,
    %(reason)s
);

-- name: post_entries
INSERT INTO ledger_entries (entry_id, refund_id, order_id, debit, credit, amount_minor, currency)
SELECT e.entry_id, %(refund_id)s, %(order_id)s, e.debit, e.credit, e.amount_minor, %(currency)s
FROM unnest(
    %(entry_ids)s::uuid[], %(debits)s::text[], %(credits)s::text[], %(amounts_minor)s::bigint[]
) AS e (entry_id, debit, credit, amount_minor);
