-- Of a dead letter larger than 960 KiB the beginnings of key, value and headers are kept. For each of these parts that
-- is longer: {"value": {"bytes": 15000000, "sha256": "…"}}. Only a letter that is whole can be put back.
ALTER TABLE dead_letters
    ADD COLUMN truncated jsonb CHECK (jsonb_typeof(truncated) = 'object' AND truncated <> '{}');
