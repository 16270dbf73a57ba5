-- PostgreSQL looks for tables in the temporary schema of a session first, before its own catalogue even, unless a path
-- says otherwise: whoever may call a function that runs with its owner's rights would put a table of their own beneath it.
DO $$
DECLARE
    place regnamespace;
BEGIN
    SELECT relnamespace INTO place FROM pg_class WHERE oid = 'decisions'::regclass;
    EXECUTE format('ALTER FUNCTION %%s.tell_sources_apart() SET search_path TO %%s, pg_temp', place, place);
END
$$;
