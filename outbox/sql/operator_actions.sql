-- name: record
INSERT INTO operator_actions (action, target, by_whom, known_by, role, reason)
SELECT %(action)s, target, %(by_whom)s, %(known_by)s, %(role)s, %(reason)s
FROM unnest(%(targets)s::text[]) AS t (target);

-- name: page
SELECT id::text, at, by_whom, known_by, role, action, target, reason
FROM operator_actions
WHERE (%(by_whom)s::text IS NULL OR by_whom = %(by_whom)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(target)s::text IS NULL OR target = %(target)s)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  AND (
      %(before)s::uuid IS NULL
      OR (at, id) < (SELECT at, id FROM operator_actions WHERE id = %(before)s::uuid)
  )
ORDER BY at DESC, id DESC
LIMIT %(limit)s;

-- name: known
SELECT id FROM operator_actions WHERE id = %(id)s::uuid;
