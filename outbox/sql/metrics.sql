-- name: measured
-- Asked every few seconds by whoever scrapes: everything is counted up to a bound, and every count has an index or stops
-- with the bound.
SELECT
    NOT current_setting('transaction_read_only')::boolean AS takes_writes,
    (SELECT count(*) FROM (SELECT FROM outbox_messages LIMIT %(messages)s) AS pending) AS pending,
    buried.messages AS buried,
    buried.oldest_seconds AS buried_oldest_seconds,
    held.decisions AS held,
    held.overdue,
    held.oldest_seconds AS held_oldest_seconds,
    held.expires_in_seconds,
    greatest(coalesce(extract(epoch FROM clock_timestamp() - (
        SELECT min(due_at) FROM expectations WHERE state = 'open'
    )), 0), 0)::double precision AS expectation_overdue_seconds
FROM (
    SELECT
        count(*) AS messages,
        coalesce(extract(epoch FROM clock_timestamp() - min(died_at)), 0)::double precision AS oldest_seconds
    FROM (SELECT died_at FROM outbox_dead ORDER BY seq LIMIT %(messages)s) AS first
) AS buried, (
    SELECT
        count(*) AS decisions,
        count(*) FILTER (WHERE expires_at < clock_timestamp() - interval '1 minute') AS overdue,
        greatest(coalesce(extract(epoch FROM clock_timestamp() - min(asked_at)), 0), 0)::double precision
            AS oldest_seconds,
        extract(epoch FROM min(expires_at) FILTER (WHERE expires_at > clock_timestamp()) - clock_timestamp())::double precision
            AS expires_in_seconds
    FROM (SELECT asked_at, expires_at FROM approvals WHERE answer IS NULL ORDER BY expires_at LIMIT %(decisions)s) AS next
) AS held;

-- name: missed_expectations
SELECT agent, name, count(*) AS expectations
FROM (
    SELECT agent, name, missed_at
    FROM expectations
    WHERE state = 'missed'
    ORDER BY due_at DESC, id DESC
    LIMIT %(expectations)s
) AS newest
WHERE missed_at > clock_timestamp() - interval '1 day'
GROUP BY agent, name
ORDER BY agent, name;

-- name: open_letters
-- Of the newest that nobody has put back.
SELECT consumer, reason, count(*) AS letters
FROM (
    SELECT consumer, reason
    FROM dead_letters
    WHERE replayed_at IS NULL
    ORDER BY died_at DESC, id DESC
    LIMIT %(letters)s
) AS newest
GROUP BY consumer, reason
ORDER BY consumer, reason;

-- name: retention
-- From when until when there are partitions PostgreSQL says itself, whatever was written down of it.
SELECT
    r.name,
    greatest(coalesce(extract(epoch FROM
        clock_timestamp() - make_interval(days => r.keep_days) - min(p.until_at)
    ), 0), 0)::double precision AS due_seconds,
    coalesce(extract(epoch FROM max(p.until_at) - clock_timestamp()), -1)::double precision AS ahead_seconds
FROM retention AS r
LEFT JOIN LATERAL content_partitions(r.name) AS p ON true
GROUP BY r.name
ORDER BY r.name;
