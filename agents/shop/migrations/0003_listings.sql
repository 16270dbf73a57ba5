-- What people look at, in the order in which pages go on, and by what they look for.
CREATE INDEX IF NOT EXISTS refunds_by_time ON refunds (issued_at DESC, refund_id DESC);
CREATE INDEX IF NOT EXISTS refunds_by_customer ON refunds (customer_id);
CREATE INDEX IF NOT EXISTS ledger_entries_by_time ON ledger_entries (posted_at DESC, entry_id DESC);
CREATE INDEX IF NOT EXISTS given_back_by_time ON given_back (recorded_at DESC, given_back_id DESC);
CREATE INDEX IF NOT EXISTS given_back_by_order ON given_back (order_id);
