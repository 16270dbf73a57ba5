-- A million decisions of a year by one shop, most of them of the agents that decide most; one in a thousand is held or refused.
-- Indexes are taken away meanwhile: made at once they take a fraction of the time.
SET maintenance_work_mem = '512MB';
CREATE TEMPORARY TABLE taken_away ON COMMIT PRESERVE ROWS AS
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'decisions' AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname);
DO $$ DECLARE name text; BEGIN FOR name IN SELECT indexname FROM taken_away LOOP EXECUTE format('DROP INDEX %%I', name); END LOOP; END $$;
INSERT INTO decisions (id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset", history,
                       brain, outcome, reason, confidence, messages, status, decided_at, correlation_id)
SELECT gen_random_uuid(), (ARRAY['fraud', 'confirmation', 'fulfilment', 'root_cause', 'recovery'])[1 + n %% 5], 'e-' || n, 'urn:shop',
       'PaymentSucceeded', at, 'customer', 'c-' || n %% 100000, 'timeline-customer', n %% 8, n, '{"offsets": [], "sha256": ""}', 'rules',
       (ARRAY['approve', 'neutral', 'start', 'blame', 'refund_capture'])[1 + n %% 5], 'nothing unusual', 1.0,
       CASE n %% 5 WHEN 0 THEN jsonb_build_array(jsonb_build_object('id', 'm-' || n, 'topic', 'payments', 'key', 'k', 'value', NULL)) ELSE '[]' END,
       CASE WHEN n %% 1000 = 0 THEN 'refused' ELSE 'committed' END, at, 'o-' || n %% 200000
FROM (SELECT n, clock_timestamp() - n * interval '30 seconds' AS at FROM generate_series(1, %(decisions)s) AS n) AS made;
DO $$ DECLARE made text; BEGIN FOR made IN SELECT indexdef FROM taken_away LOOP EXECUTE made; END LOOP; END $$;
ANALYZE decisions;
