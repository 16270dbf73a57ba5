-- What hostile events cannot bring about by themselves in a test, each text of it as hostile.
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
VALUES (nextval(pg_get_serial_sequence('outbox_messages', 'seq')), 1, %(text)s, %(text)s, convert_to(%(text)s, 'UTF8'),
        convert_to(%(text)s, 'UTF8'), '[]', clock_timestamp(), %(text)s);
INSERT INTO llm_calls (id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, latency_ms, error, called_at)
VALUES (gen_random_uuid(), %(text)s, %(text)s, %(text)s, gen_random_uuid(), 1, %(text)s, repeat('ab', 32), %(text)s, %(text)s, 950, %(text)s,
        clock_timestamp());
INSERT INTO decisions (id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset", history,
                       brain, model, outcome, reason, confidence, messages, status, decided_at)
SELECT gen_random_uuid(), agent || '@' || %(text)s, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition, "offset",
       history, %(text)s, %(text)s, %(text)s, %(text)s, confidence, '[]', 'shadow', clock_timestamp()
FROM decisions WHERE agent = 'fraud' AND event_source = %(text)s;
INSERT INTO code_versions (agent, version, rules_hash, settings_hash, release, libraries, settings, sources)
SELECT %(text)s, %(text)s, %(text)s, %(text)s, %(text)s, told, told, told FROM (SELECT jsonb_build_object(%(text)s, %(text)s) AS told) AS t;
