-- The public surface begins anew. Only the owner's objects lie in this schema; they are re-created whenever they change.
-- A reader who is in the middle of a query holds this up for a moment (lock_timeout), never the other way round.

drop schema if exists api cascade;
create schema api;
comment on schema api is 'The public surface of the register: views that are additive within a major version.';
