-- name: register_code
-- The id of a code, which is added if it is not there. What is there is looked for first: a start draws no number then.
WITH asked AS (
    SELECT
        %(agent)s::text AS agent, %(version)s::text AS version, %(rules_hash)s::text AS rules_hash,
        %(settings_hash)s::text AS settings_hash, %(release)s::text AS release, %(libraries)s::jsonb AS libraries
), there AS (
    SELECT id
    FROM code_versions
    JOIN asked USING (agent, version, rules_hash, settings_hash, release, libraries)
), added AS (
    INSERT INTO code_versions (agent, version, rules_hash, settings_hash, release, libraries, settings, sources)
    SELECT agent, version, rules_hash, settings_hash, release, libraries, %(settings)s::jsonb, %(sources)s::jsonb
    FROM asked
    WHERE NOT EXISTS (SELECT FROM there)
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT id FROM there UNION ALL SELECT id FROM added;

-- name: code_versions
-- Codes with the first and the last decision by each, from one probe of an index each; the newest first. A filter that is
-- NULL filters nothing. `before` is the id of the last row of the page before.
SELECT
    c.id, c.agent, c.version, c.rules_hash, c.settings_hash, c.settings, c.sources, c.release, c.libraries,
    c.first_seen_at, p.id AS previous,
    (SELECT min(d.decided_at) FROM decisions AS d WHERE d.code_id = c.id) AS first_decision_at,
    (SELECT max(d.decided_at) FROM decisions AS d WHERE d.code_id = c.id) AS last_decision_at,
    p.version AS previous_version, p.rules_hash AS previous_rules_hash, p.settings_hash AS previous_settings_hash,
    p.release AS previous_release, p.libraries AS previous_libraries, p.sources AS previous_sources,
    p.settings AS previous_settings
FROM code_versions AS c
LEFT JOIN LATERAL (
    SELECT * FROM code_versions AS b WHERE b.agent = c.agent AND b.id < c.id ORDER BY b.id DESC LIMIT 1
) AS p ON true
WHERE (%(agent)s::text IS NULL OR c.agent = %(agent)s)
  AND (%(id)s::integer IS NULL OR c.id = %(id)s)
  AND (%(before)s::integer IS NULL OR c.id < %(before)s)
ORDER BY c.id DESC
LIMIT %(limit)s;
