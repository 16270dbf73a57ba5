-- name: identity
-- Tells the transactional ids of two databases apart when they share a Kafka cluster.
SELECT id::text FROM outbox_identity;

-- name: name_batch
-- Names nothing for a worker that has lost the lane, and the lock keeps the lane from changing hands meanwhile.
WITH owned AS (
    SELECT lane FROM outbox_lanes WHERE lane = %(lane)s AND epoch = %(epoch)s FOR SHARE
)
UPDATE outbox_messages AS m
SET batch_id = %(batch_id)s::uuid
FROM owned
WHERE m.lane = owned.lane AND m.seq = ANY (%(seqs)s::bigint[])
RETURNING m.seq;

-- name: delete_batch
DELETE FROM outbox_messages WHERE lane = %(lane)s AND batch_id = %(batch_id)s::uuid RETURNING seq;
