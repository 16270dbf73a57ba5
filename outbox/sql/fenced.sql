-- name: identity
-- Tells the transactional ids of two databases apart when they share a Kafka cluster.
SELECT id::text FROM outbox_identity;

-- name: name_batch
UPDATE outbox_messages SET batch_id = %(batch_id)s::uuid WHERE seq = ANY (%(seqs)s::bigint[]);

-- name: rows_of_batch
SELECT seq FROM outbox_messages WHERE lane = %(lane)s AND batch_id = %(batch_id)s::uuid;
