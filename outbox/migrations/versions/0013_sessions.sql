-- Sessions of the page are signed with it, by every worker alike. Two random UUIDs: some 244 bits.
ALTER TABLE outbox_identity
    ADD COLUMN session_secret bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
