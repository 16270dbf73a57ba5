-- innervate: only adds
-- Decisions on an order that a bank charged back, and those on the same events about whatever else: what they said is
-- asked for when the dispute is argued, so their contents stay however old they are.
CREATE VIEW disputed_decisions AS
SELECT d.id AS decision_id, d.decided_at
FROM given_back AS g
JOIN decisions AS own ON own.entity = 'order' AND own.entity_id = g.order_id
JOIN decisions AS d
    ON search_terms(d.event_id, d.correlation_id, d.messages) @> jsonb_build_array(own.event_id)
    AND d.event_id = own.event_id
    AND d.event_source = own.event_source
WHERE g.kind = 'chargeback';

INSERT INTO retention_disputes (view_name) VALUES ('disputed_decisions');
