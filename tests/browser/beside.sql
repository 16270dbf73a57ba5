-- What a shop by rules alone does not come to: messages Kafka refused, calls of a language model, a shadow's decisions.
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
SELECT nextval(pg_get_serial_sequence('outbox_messages', 'seq')), n, 'refused-' || n, 'recovery', 'o-00001', convert_to('{"type": "RefundIssued"}', 'UTF8'), '[]', clock_timestamp(),
       'MessageSizeTooLargeError: 1200000 bytes'
FROM generate_series(1, 3) AS n;

INSERT INTO llm_calls (id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, prompt_tokens,
                       completion_tokens, latency_ms, error, called_at)
SELECT gen_random_uuid(), d.agent, d.event_source, d.event_id, d.id, n, 'small', repeat('ab', 32), 'Choose a tone for this customer.',
       CASE n WHEN 2 THEN '{"tone": "warm"}' END, 120, CASE n WHEN 2 THEN 8 END, 950, CASE n WHEN 1 THEN 'timeout' END,
       clock_timestamp()
FROM (SELECT * FROM decisions WHERE agent = 'confirmation' ORDER BY decided_at LIMIT 5) AS d, generate_series(1, 2) AS n;
INSERT INTO llm_budgets (agent, day, used_tokens) VALUES ('confirmation', (clock_timestamp() AT TIME ZONE 'UTC')::date, 1256);

INSERT INTO decisions (id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset", history,
                       brain, model, outcome, reason, confidence, messages, status, decided_at)
SELECT gen_random_uuid(), agent || '@candidate', event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset",
       history, brain, model, CASE WHEN n % 3 = 0 THEN 'block' ELSE outcome END, reason, confidence, '[]', 'shadow', decided_at
FROM (SELECT *, row_number() OVER (ORDER BY decided_at) AS n FROM decisions WHERE agent = 'fraud') AS live
WHERE n <= 12;
