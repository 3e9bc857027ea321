-- What happened, in an order that never grows a row behind a reader's back: a transaction's events are shown when no
-- transaction that began writing before it is still open, so that everything at or below a key that was read is
-- decided. A writer that hangs holds events back (its timeout ends it) but is never jumped over.

create view api.events as
select
    e.tx,
    e.id,
    e.kind,
    c.name as chain,
    e.chain_id,
    '0x' || encode(e.subject, 'hex') as subject,
    e.block_number,
    e.source,
    e.at,
    e.natural_key
from gazetteer.events e
left join gazetteer.chains c on c.chain_id = e.chain_id
where e.tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
