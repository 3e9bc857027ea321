-- The public surface begins anew. Views that other people built on it are theirs: without CASCADE Postgres names
-- them and nothing is changed.

do $$
declare
    views text;
begin
    create schema if not exists api;
    select string_agg('api.' || quote_ident(viewname), ', ') into views from pg_views where schemaname = 'api';
    if views is not null then
        execute 'drop view ' || views;
    end if;
    drop function if exists api.addr(text), api.keccak256(bytea), api.instruments_asof(timestamptz);
    drop schema api;
end
$$;

create schema api;
comment on schema api is
    'The public surface of the register. Columns are only ever added within one api_version (see api.meta).';
