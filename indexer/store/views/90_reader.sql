-- The reader of the views. Roles belong to the whole server: it is created where it is missing and this user may do
-- so; a role of this name that is already there keeps its settings. Without a password (`gazetteer up` gives it one)
-- nobody can log in as it over a network.

do $$
begin
    if not exists (select from pg_roles where rolname = 'analyst') then
        begin
            create role analyst login connection limit 5;
            alter role analyst set default_transaction_read_only = on;
            alter role analyst set statement_timeout = '60s';
            alter role analyst set idle_in_transaction_session_timeout = '60s';
        exception
            when insufficient_privilege then
                raise notice 'role analyst is missing, and this user may not create it';
            when duplicate_object or unique_violation then
                null;  -- another database of this server was migrated at the same time
        end;
    end if;
    if exists (select from pg_roles where rolname = 'analyst') then
        grant usage on schema api to analyst;
        grant select on all tables in schema api to analyst;
    end if;
end
$$;
