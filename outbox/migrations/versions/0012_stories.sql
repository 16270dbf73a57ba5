-- Dead letters about an entity, by the key of their records. A key may be of any length, and a hash is not.
CREATE INDEX IF NOT EXISTS dead_letters_by_key ON dead_letters USING hash (key);
