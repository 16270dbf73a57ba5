-- A decision is refused when the chain of decisions that led to its event, or its story, went as far as it may.
ALTER TABLE decisions
    DROP CONSTRAINT decisions_status_check,
    ADD CONSTRAINT decisions_status_check CHECK (status IN ('committed', 'held', 'rejected', 'refused', 'shadow')),
    -- NULL: written by a version that did not keep them.
    ADD COLUMN correlation_id text,
    ADD COLUMN chain_depth integer CHECK (chain_depth >= 0),
    -- The messages of the story with this one, in answer to agents; NULL where a decision adds none.
    ADD COLUMN fan_out bigint CHECK (fan_out > 0);

-- The largest number of a story is at the end of its entries.
CREATE INDEX decisions_by_story ON decisions (correlation_id, fan_out) WHERE fan_out IS NOT NULL;

-- The depth of a message follows from its event as its id does, and versions of before did not write it.
CREATE OR REPLACE FUNCTION without_ids(messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg((message - 'id') #- '{value,id}' #- '{value,chaindepth}' ORDER BY place), '[]')
    FROM jsonb_array_elements(messages) WITH ORDINALITY AS m (message, place)
$$;
