-- name: begin_session
-- Settings that could change what is written, read or promised are the same in every session, whatever the server, the
-- database or the role says. Limits are never longer than ours; those in the connection string itself (their source is
-- the client) are the operator's own. A server that does not know a setting does without.
SELECT set_config(meant.name, meant.value, false)
FROM unnest(%(meaning)s::text[], %(meanings)s::text[]) AS meant (name, value)
JOIN pg_settings AS known USING (name)
WHERE known.setting <> meant.value
UNION ALL
SELECT set_config(most.name, most.value::text, false)
FROM unnest(%(limits)s::text[], %(values)s::bigint[]) AS most (name, value)
JOIN pg_settings AS known USING (name)
WHERE known.source <> 'client' AND (known.setting::bigint = 0 OR known.setting::bigint > most.value)
UNION ALL
SELECT set_config(name, 'on', false)
FROM pg_settings
WHERE name = 'synchronous_commit' AND setting = 'off' AND source <> 'client';
