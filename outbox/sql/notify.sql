-- name: notify
SELECT pg_notify('innervate_outbox', '');

-- name: listen
LISTEN innervate_outbox;
