-- name: execute
    EXECUTE %(statement)s;

-- name: body
-- Settings that would outlive the decision, or change what its transaction means, are compared: not even a function that
-- an effect calls may change them. The limit of time ends the block in a way that a client can tell from its own end.
DECLARE
    settings text[] := ARRAY[
        'role', 'session_authorization', 'search_path', 'transaction_read_only', 'transaction_isolation',
        'session_replication_role', 'row_security', 'lock_timeout', 'statement_timeout', 'TimeZone', 'DateStyle',
        'IntervalStyle', 'bytea_output', 'extra_float_digits', 'standard_conforming_strings', 'client_encoding',
        'idle_in_transaction_session_timeout', 'default_transaction_isolation', 'default_transaction_read_only',
        'synchronous_commit'
    ];
    before text[] := ARRAY(SELECT current_setting(name) FROM unnest(settings) AS name);
BEGIN
%(statements)s
    SET CONSTRAINTS ALL IMMEDIATE;
    IF before <> ARRAY(SELECT current_setting(name) FROM unnest(settings) AS name) THEN
        RAISE EXCEPTION 'an effect may not change the settings of the session';
    END IF;
EXCEPTION WHEN query_canceled THEN
    RAISE EXCEPTION USING ERRCODE = 'IN001', MESSAGE = 'cancelled';
END;

-- name: perform
-- The limit is for the block alone: neither for the statements before it nor for the commit.
SET LOCAL statement_timeout = %(seconds)s;
DO %(body)s;
SET LOCAL statement_timeout TO DEFAULT;
