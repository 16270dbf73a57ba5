-- What a decision and a call of a model are recognised by stays for ever; their contents are apart, in partitions by time,
-- which are dropped when they are old. Nothing here is a parameter of those who may call it: how long something is kept
-- says a table that only its owner may change.

-- For the functions below, which run with the rights of their owner: nobody's temporary tables come before what is meant.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- How long contents are kept; one row for each table of contents.
CREATE TABLE retention (
    name           text PRIMARY KEY CHECK (name <> ''),
    -- NULL: for ever.
    keep_days      integer CHECK (keep_days > 0),
    -- By whom that was said.
    changed_at     timestamptz,
    changed_by     text CHECK (changed_by <> ''),
    -- How long a new partition is: contents are dropped by so many days later, at most.
    partition_days integer NOT NULL DEFAULT 7 CHECK (partition_days BETWEEN 1 AND 366),
    -- From when until before when there are partitions. What does not fall into them is written as before, into the row of
    -- `decisions` or `llm_calls` itself: a missing partition stops nobody.
    from_at        timestamptz,
    until_at       timestamptz,
    -- What was written so before then has been seen to.
    trimmed_until  timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO retention (name) VALUES ('decision_contents'), ('llm_call_contents');

-- What is no longer kept: contents of this span of time, but for those in the table of what stays.
CREATE TABLE retention_drops (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL REFERENCES retention,
    from_at    timestamptz NOT NULL,
    until_at   timestamptz NOT NULL,
    keep_days  integer NOT NULL,
    -- How many were moved to what stays.
    stay       bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX retention_drops_by_time ON retention_drops (name, until_at);

-- Views of domains, with the columns decision_id and decided_at: the decisions that a dispute is about. They stay.
CREATE TABLE retention_disputes (
    view_name text PRIMARY KEY CHECK (view_name <> '')
);

-- No foreign key: every decision would lock the row it names. Each is written by the statement that writes that row, and
-- only if it is new, so it is unique by that.
CREATE TABLE decision_contents (
    id       uuid NOT NULL,
    at       timestamptz NOT NULL,
    messages jsonb NOT NULL CHECK (jsonb_typeof(messages) = 'array')
) PARTITION BY RANGE (at);
-- Times are nearly as unique as ids, half as long, and come in their order.
CREATE INDEX decision_contents_by_time ON decision_contents (at);
CREATE TABLE decision_contents_kept (LIKE decision_contents INCLUDING CONSTRAINTS, PRIMARY KEY (id));

CREATE TABLE llm_call_contents (
    id     uuid NOT NULL,
    at     timestamptz NOT NULL,
    prompt text NOT NULL,
    reply  text
) PARTITION BY RANGE (at);
CREATE INDEX llm_call_contents_by_time ON llm_call_contents (at);
CREATE TABLE llm_call_contents_kept (LIKE llm_call_contents INCLUDING CONSTRAINTS, PRIMARY KEY (id));

-- False: contents are in the row itself, as workers of before write them. True: they are where this says, or nowhere any
-- more; the row has the ids of its messages, which it is found by.
ALTER TABLE decisions ADD COLUMN is_apart boolean NOT NULL DEFAULT false;
ALTER TABLE llm_calls ADD COLUMN is_apart boolean NOT NULL DEFAULT false;

-- Workers of before read contents in the row only: they say nothing here, so they count as false, and while one of them
-- lives contents are written there.
ALTER TABLE outbox_workers ADD COLUMN reads_contents boolean NOT NULL DEFAULT false;

-- Messages whose contents are apart: their ids in the row, as texts, and the rest of each without its id in the contents.
-- The ids of both forms are found, that and the whole messages of a row of before.
CREATE FUNCTION message_ids(messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_path_query_array(messages, '$[*].id') || jsonb_path_query_array(messages, '$[*] ? (@.type() == "string")')
$$;
CREATE FUNCTION message_contents(messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(message - 'id' ORDER BY place), '[]')
    FROM jsonb_array_elements(messages) WITH ORDINALITY AS m (message, place)
$$;
-- Both together again; NULL without contents.
CREATE FUNCTION whole_messages(ids jsonb, contents jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', id) || content ORDER BY place), '[]')
    FROM ROWS FROM (jsonb_array_elements(ids), jsonb_array_elements(contents)) WITH ORDINALITY AS m (id, content, place)
$$;
-- What is no longer kept is like nothing.
ALTER FUNCTION without_ids(jsonb) STRICT;
-- Finds both forms. What it gives for rows that are there is the same, so their index is.
CREATE OR REPLACE FUNCTION search_terms(event_id text, correlation_id text, messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_array(event_id, correlation_id) || jsonb_path_query_array(messages, '$[*].id')
        || jsonb_path_query_array(messages, '$[*] ? (@.type() == "string")')
$$;

-- Since when contents of that time are not kept any more, and for how many days they were.
CREATE FUNCTION not_kept(contents text, of timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('since', max(d.dropped_at), 'keep_days', min(d.keep_days))
    FROM retention_drops AS d
    WHERE d.name = contents AND d.until_at > of AND d.from_at <= of
$$;

-- Rows with their contents, wherever those are. NULL in `whole_…` and a value in `not_kept`: no longer kept. A column that
-- is not asked for costs nothing.
CREATE VIEW whole_decisions AS
SELECT
    CASE WHEN d.is_apart THEN whole_messages(d.messages, coalesce(
        (SELECT c.messages FROM decision_contents AS c WHERE c.at = d.decided_at AND c.id = d.id),
        (SELECT k.messages FROM decision_contents_kept AS k WHERE k.id = d.id)
    )) ELSE d.messages END AS whole_messages,
    CASE WHEN d.is_apart
        AND NOT EXISTS (SELECT FROM decision_contents AS c WHERE c.at = d.decided_at AND c.id = d.id)
        AND NOT EXISTS (SELECT FROM decision_contents_kept AS k WHERE k.id = d.id)
    THEN not_kept('decision_contents', d.decided_at) END AS not_kept,
    d.*
FROM decisions AS d;

CREATE VIEW whole_llm_calls AS
SELECT
    CASE WHEN l.is_apart THEN coalesce(
        (SELECT c.prompt FROM llm_call_contents AS c WHERE c.at = l.called_at AND c.id = l.id),
        (SELECT k.prompt FROM llm_call_contents_kept AS k WHERE k.id = l.id)
    ) ELSE l.prompt END AS whole_prompt,
    CASE WHEN l.is_apart THEN coalesce(
        (SELECT c.reply FROM llm_call_contents AS c WHERE c.at = l.called_at AND c.id = l.id),
        (SELECT k.reply FROM llm_call_contents_kept AS k WHERE k.id = l.id)
    ) ELSE l.reply END AS whole_reply,
    CASE WHEN l.is_apart
        AND NOT EXISTS (SELECT FROM llm_call_contents AS c WHERE c.at = l.called_at AND c.id = l.id)
        AND NOT EXISTS (SELECT FROM llm_call_contents_kept AS k WHERE k.id = l.id)
    THEN not_kept('llm_call_contents', l.called_at) END AS not_kept,
    l.*
FROM llm_calls AS l;

-- The decisions of this span of time whose contents stay: held ones, and those that a dispute is about.
CREATE FUNCTION decisions_to_keep(since timestamptz, until timestamptz) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    disputed text;
BEGIN
    RETURN QUERY SELECT d.id FROM decisions AS d WHERE d.status = 'held' AND d.decided_at >= since AND d.decided_at < until;
    FOR disputed IN SELECT view_name FROM retention_disputes ORDER BY view_name LOOP
        RETURN QUERY EXECUTE format('SELECT decision_id FROM %%I WHERE decided_at >= $1 AND decided_at < $2', disputed)
            USING since, until;
    END LOOP;
END
$$;

-- The same as ids of contents. A model is asked before the decision, by less than a day.
CREATE FUNCTION contents_to_keep(contents text, since timestamptz, until timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT k.id FROM decisions_to_keep(since, until) AS k (id) WHERE contents = 'decision_contents'
    UNION ALL
    SELECT l.id
    FROM decisions_to_keep(since, until + interval '1 day') AS k (id)
    JOIN llm_calls AS l ON l.decision_id = k.id
    WHERE contents = 'llm_call_contents'
$$;

-- One at a time: whoever comes second does nothing. Held until the end of the transaction.
CREATE FUNCTION is_turn_of_retention() RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock(7294655104)
$$;

-- The partitions of a table of contents. The bounds are those PostgreSQL has: there is no second list to be wrong.
CREATE FUNCTION content_partitions(contents text)
RETURNS TABLE (partition text, from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO' AS $$
    SELECT
        c.relname::text,
        substring(pg_get_expr(c.relpartbound, c.oid) FROM $x$FROM \('([^']+)'\)$x$)::timestamptz,
        substring(pg_get_expr(c.relpartbound, c.oid) FROM $x$TO \('([^']+)'\)$x$)::timestamptz
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = contents::regclass
    ORDER BY 3
$$;

-- Makes partitions until the longer of three days and the next partition is covered, and returns their names. Attaching
-- waits for no reader and no writer. A gap, where nobody did this for long, becomes part of the next one. What is said to be
-- covered is set right first, where somebody has dropped or detached a partition by hand. Where there are decisions and none
-- has contents apart, the first partition is for the day after tomorrow: until then the way back to a release of before is open.
CREATE FUNCTION add_partitions() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO' SET lock_timeout = '1s' AS $$
DECLARE
    kept retention;
    today timestamptz := date_trunc('day', clock_timestamp());
    since timestamptz;
    until timestamptz;
    partition text;
BEGIN
    IF NOT is_turn_of_retention() THEN
        RETURN;
    END IF;
    FOR kept IN SELECT * FROM retention ORDER BY name LOOP
        -- The newest partitions, back to the first gap.
        SELECT min(p.from_at), max(p.until_at)
        INTO since, until
        FROM (
            SELECT c.from_at, c.until_at, sum(c.is_behind_a_gap) OVER (ORDER BY c.from_at DESC) AS gaps
            FROM (
                SELECT p.*, (lead(p.from_at) OVER (ORDER BY p.from_at) IS DISTINCT FROM p.until_at)::integer AS is_behind_a_gap
                FROM content_partitions(kept.name) AS p
            ) AS c
        ) AS p
        WHERE p.gaps = 1;
        IF (since, until) IS DISTINCT FROM (kept.from_at, kept.until_at) THEN
            UPDATE retention AS r SET from_at = since, until_at = until WHERE r.name = kept.name;
        END IF;
        WHILE until IS NULL OR until < today + make_interval(days => greatest(kept.partition_days, 3)) LOOP
            since := coalesce(
                until, today + CASE WHEN EXISTS (SELECT FROM decisions) THEN interval '2 days' ELSE interval '0' END
            );
            until := greatest(since, today) + make_interval(days => kept.partition_days);
            partition := kept.name || to_char(since, '_YYYYMMDD');
            -- One that was detached by hand keeps its name.
            WHILE to_regclass(quote_ident(partition)) IS NOT NULL LOOP
                partition := partition || '_';
            END LOOP;
            EXECUTE format('CREATE TABLE %%I (LIKE %%I INCLUDING ALL)', partition, kept.name);
            EXECUTE format(
                'ALTER TABLE %%I ATTACH PARTITION %%I FOR VALUES FROM (%%L) TO (%%L)', kept.name, partition, since, until
            );
            UPDATE retention AS r SET from_at = coalesce(r.from_at, since), until_at = until WHERE r.name = kept.name;
            RETURN NEXT partition;
        END LOOP;
    END LOOP;
END
$$;
SELECT add_partitions();

-- Drops the oldest partition that is older than it is to be kept, and says which; no row where there is none. What stays is
-- moved before, in the same transaction. Others wait for the drop only once it has its lock, and for that it waits no
-- longer than 0.2 s: whoever is in the way puts it off.
CREATE FUNCTION drop_partition() RETURNS TABLE (contents text, partition text, until_at timestamptz, stay bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO' SET lock_timeout = '200ms' AS $$
DECLARE
    old record;
    moved bigint;
BEGIN
    IF NOT is_turn_of_retention() THEN
        RETURN;
    END IF;
    SELECT r.name, r.keep_days, p.partition, p.from_at, p.until_at
    INTO old
    FROM retention AS r
    CROSS JOIN content_partitions(r.name) AS p
    WHERE p.until_at <= clock_timestamp() - make_interval(days => r.keep_days)
    ORDER BY p.until_at, r.name
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- From here on nothing comes to it any more: what is read next is all there is.
    EXECUTE format('LOCK TABLE %%I IN SHARE MODE', old.partition);
    EXECUTE format(
        'INSERT INTO %%I SELECT c.* FROM %%I AS c WHERE c.id IN (SELECT contents_to_keep($1, $2, $3)) ON CONFLICT DO NOTHING',
        old.name || '_kept', old.partition
    ) USING old.name, old.from_at, old.until_at;
    GET DIAGNOSTICS moved = ROW_COUNT;
    INSERT INTO retention_drops (name, from_at, until_at, keep_days, stay)
    VALUES (old.name, old.from_at, old.until_at, old.keep_days, moved);
    UPDATE retention AS r SET from_at = greatest(r.from_at, old.until_at) WHERE r.name = old.name;
    EXECUTE format('DROP TABLE %%I', old.partition);
    RETURN QUERY SELECT old.name::text, old.partition::text, old.until_at::timestamptz, moved;
END
$$;

-- Takes the contents of up to 1,000 old rows, or of as many as have the same time, out of the rows themselves: written
-- before there were partitions, or beside workers of before. Returns how many were looked at; 0 when none is left. Each
-- time has its turn once.
CREATE FUNCTION trim_rows() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
DECLARE
    kept retention;
    too_old timestamptz;
    until timestamptz;
    rows bigint;
    moved bigint;
    trimmed bigint;
BEGIN
    IF NOT is_turn_of_retention() THEN
        RETURN 0;
    END IF;
    FOR kept IN SELECT * FROM retention WHERE keep_days IS NOT NULL ORDER BY name LOOP
        too_old := clock_timestamp() - make_interval(days => kept.keep_days);
        SELECT max(d.at), count(*) INTO until, rows FROM (
            SELECT * FROM (
                SELECT decided_at AS at FROM decisions
                WHERE kept.name = 'decision_contents' AND decided_at >= kept.trimmed_until AND decided_at < too_old
                ORDER BY decided_at LIMIT 1000
            ) AS decided
            UNION ALL
            SELECT * FROM (
                SELECT called_at FROM llm_calls
                WHERE kept.name = 'llm_call_contents' AND called_at >= kept.trimmed_until AND called_at < too_old
                ORDER BY called_at LIMIT 1000
            ) AS called
        ) AS d;
        CONTINUE WHEN rows = 0;
        until := until + interval '1 microsecond';
        IF kept.name = 'decision_contents' THEN
            INSERT INTO decision_contents_kept (id, at, messages)
            SELECT d.id, d.decided_at, message_contents(d.messages) FROM decisions AS d
            WHERE NOT d.is_apart AND d.messages <> '[]' AND d.decided_at >= kept.trimmed_until AND d.decided_at < until
              AND d.id IN (SELECT contents_to_keep(kept.name, kept.trimmed_until, until))
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS moved = ROW_COUNT;
            UPDATE decisions AS d SET messages = message_ids(d.messages), is_apart = true
            WHERE NOT d.is_apart AND d.messages <> '[]' AND d.decided_at >= kept.trimmed_until AND d.decided_at < until;
        ELSE
            INSERT INTO llm_call_contents_kept (id, at, prompt, reply)
            SELECT l.id, l.called_at, l.prompt, l.reply FROM llm_calls AS l
            WHERE NOT l.is_apart AND l.called_at >= kept.trimmed_until AND l.called_at < until
              AND l.id IN (SELECT contents_to_keep(kept.name, kept.trimmed_until, until))
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS moved = ROW_COUNT;
            UPDATE llm_calls AS l SET prompt = '', reply = left(l.reply, 0), is_apart = true
            WHERE NOT l.is_apart AND l.called_at >= kept.trimmed_until AND l.called_at < until;
        END IF;
        GET DIAGNOSTICS trimmed = ROW_COUNT;
        IF trimmed > 0 THEN
            -- What one run does is one span.
            UPDATE retention_drops AS r SET until_at = until, stay = r.stay + moved, dropped_at = clock_timestamp()
            WHERE r.id = (SELECT max(last.id) FROM retention_drops AS last WHERE last.name = kept.name)
              AND r.until_at = kept.trimmed_until AND r.keep_days = kept.keep_days;
            IF NOT FOUND THEN
                INSERT INTO retention_drops (name, from_at, until_at, keep_days, stay)
                VALUES (kept.name, kept.trimmed_until, until, kept.keep_days, moved);
            END IF;
        END IF;
        UPDATE retention AS r SET trimmed_until = until WHERE r.name = kept.name;
        RETURN rows;
    END LOOP;
    RETURN 0;
END
$$;

-- Deletes up to 1,000 contents that stayed and need to no longer: answered, or no more disputed. Returns how many.
CREATE FUNCTION release_contents() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
DECLARE
    kept retention;
    released bigint;
BEGIN
    IF NOT is_turn_of_retention() THEN
        RETURN 0;
    END IF;
    FOR kept IN SELECT * FROM retention WHERE keep_days IS NOT NULL ORDER BY name LOOP
        EXECUTE format(
            'DELETE FROM %%1$I WHERE id = ANY (ARRAY('
            '    SELECT k.id FROM %%1$I AS k WHERE k.at < $2 AND NOT EXISTS ('
            '        SELECT FROM contents_to_keep($1, ''-infinity'', $2) AS s (id) WHERE s.id = k.id) LIMIT 1000))',
            kept.name || '_kept'
        ) USING kept.name, clock_timestamp() - make_interval(days => kept.keep_days);
        GET DIAGNOSTICS released = ROW_COUNT;
        IF released > 0 THEN
            RETURN released;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;
