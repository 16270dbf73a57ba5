-- name: add_partitions
SELECT add_partitions() AS partition;

-- name: drop_partition
SELECT contents, partition, until_at, stay FROM drop_partition();

-- name: trim_rows
SELECT trim_rows() AS handled;

-- name: release_contents
SELECT release_contents() AS handled;

-- name: keep
-- New partitions are a tenth of that long, a week at most: so much later contents are dropped.
UPDATE retention
SET keep_days = %(keep_days)s,
    partition_days = coalesce(least(7, greatest(1, %(keep_days)s / 10)), 7),
    changed_at = clock_timestamp(),
    changed_by = %(by)s
WHERE name = %(name)s
RETURNING name;

-- name: kept
SELECT
    r.name, r.keep_days, r.changed_at, r.changed_by, r.from_at, r.until_at,
    (SELECT count(*) FROM content_partitions(r.name)) AS partitions,
    (
        SELECT coalesce(sum(pg_total_relation_size(quote_ident(p.partition)::regclass)), 0)::bigint
        FROM content_partitions(r.name) AS p
    ) AS bytes,
    (SELECT max(d.until_at) FROM retention_drops AS d WHERE d.name = r.name) AS dropped_until,
    (SELECT max(d.dropped_at) FROM retention_drops AS d WHERE d.name = r.name) AS dropped_at
FROM retention AS r
ORDER BY r.name;
