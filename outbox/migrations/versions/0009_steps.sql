-- A history names the events an agent knew: their offsets as a list ({"offsets": [5, 6, 9], …}), or as the first one and the
-- steps from each to the next ({"steps": "5 1 3", …}), a fourth of the bytes. Rows of before stay as they are.
CREATE FUNCTION plain_history(history jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN history ? 'steps' THEN
        history - 'steps' || jsonb_build_object('offsets', coalesce((
            SELECT jsonb_agg(reached ORDER BY place)
            FROM (
                SELECT place, (sum(step::bigint) OVER (ORDER BY place))::bigint AS reached
                FROM unnest(string_to_array(history ->> 'steps', ' ')) WITH ORDINALITY AS s (step, place)
            ) AS offsets
        ), '[]'))
    ELSE history END
$$;

-- Workers of the version before read lists only: they say nothing here, so they count as false, and while one of them
-- lives histories are written as lists.
ALTER TABLE outbox_workers ADD COLUMN reads_steps boolean NOT NULL DEFAULT false;
