-- name: buried
SELECT seq, message_id, topic, reason FROM outbox_dead ORDER BY seq;

-- name: dig_up
-- Back into the outbox, at the end of its lane and under its old id.
WITH dug_up AS (DELETE FROM outbox_dead RETURNING *)
INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers, committed_at)
SELECT lane, message_id, topic, key, value, headers, committed_at FROM dug_up ORDER BY seq
RETURNING message_id;
