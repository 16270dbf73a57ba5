-- The same id from another source is another event (CloudEvents 1.0). Rows of before keep their ids: a decision is
-- recognised by agent, source and id of its event, whatever its own id was derived from.
ALTER TABLE decisions ADD UNIQUE (agent, event_source, event_id);

-- NULL: journaled by a version that did not keep it, about an event without a decision.
ALTER TABLE llm_calls ADD COLUMN event_source text;
UPDATE llm_calls AS c
SET event_source = d.event_source
FROM decisions AS d
WHERE d.agent = c.agent AND d.event_id = c.event_id;

-- Workers of the version before name their constraint in every INSERT, so it has to stay as long as one of them lives:
-- they say nothing here, so they count as false.
ALTER TABLE outbox_workers ADD COLUMN tells_sources_apart boolean NOT NULL DEFAULT false;

-- Drops the constraint of before as soon as nobody needs it; returns whether it is gone.
-- Workers call it too, which may have no right to change a table: it has those of whoever migrates.
CREATE FUNCTION tell_sources_apart() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'decisions'::regclass AND conname = 'decisions_agent_event_id_key'
    ) THEN
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM outbox_workers WHERE seen_until > clock_timestamp() AND NOT tells_sources_apart) THEN
        RETURN false;
    END IF;
    ALTER TABLE decisions DROP CONSTRAINT decisions_agent_event_id_key;
    RETURN true;
END
$$;
SELECT tell_sources_apart();

-- Messages without the ids that were derived from their decision's: those of one that was made before, and of its
-- shadow made since, differ in them alone.
CREATE FUNCTION without_ids(messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg((message - 'id') #- '{value,id}' ORDER BY place), '[]')
    FROM jsonb_array_elements(messages) WITH ORDINALITY AS m (message, place)
$$;
