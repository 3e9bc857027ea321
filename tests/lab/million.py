"""A register of a million pools, made inside Postgres: the same at every run, shaped like the real one."""

import psycopg

POOLS = 1_000_000
TOKENS = 400_000  # made ones; a few more are the tokens that everything is paired with
ORPHAN_EVERY = 1_000
SINGLETON_EVERY = 33

WETH = "c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
USDC = "a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"

_CHAINS = """
    insert into gazetteer.chains (chain_id, name, genesis_hash, block_time_ms, native_symbol, enabled)
    values (1, 'ethereum', sha256('1'), 12000, 'ETH', true), (137, 'polygon', sha256('137'), 2000, 'POL', true),
           (42161, 'arbitrum', sha256('42161'), 250, 'ETH', true);

    insert into gazetteer.factories
        (chain_id, address, dex, protocol, from_block, from_block_quality, fee_kind, tier, confidence, source, enabled)
    select chain_id, substring(sha256(('factory ' || chain_id || ' ' || n)::bytea) for 20), 'dex_' || n,
           'uniswap_v' || (2 + n % 2), 1000, 'exact', 'fixed', 'core', 'high', 'made', true
    from gazetteer.chains, generate_series(1, 20) as n;

    insert into gazetteer.coverage (chain_id, address, topic0, scanned, listened_from)
    select chain_id, address, sha256('created'), '{[1000,19000000)}', 19000000 from gazetteer.factories;

    insert into gazetteer.cursors
        (chain_id, tip_number, tip_hash, anchor_number, anchor_hash, tip_at, tip_block_at)
    select chain_id, 20000100, sha256('tip'), 18999999, sha256('anchor'), now(), now() from gazetteer.chains;

    insert into gazetteer.sightings (chain_id, head_number, head_block_at, safe_number, finalized_number, seen_at)
    select chain_id, 20000101, now(), 19900000, 18999999, now() from gazetteer.chains;
"""

# Number 1 .. 5 of each chain are what others are quoted in; every hundredth made token calls itself like one of them.
_TOKENS = f"""
    insert into gazetteer.tokens
        (chain_id, address, symbol, symbol_status, name, name_status, decimals, decimals_status, provisional,
         pin_number, pin_hash, first_seen, resolved_at)
    select c.chain_id, substring(sha256(('quote ' || c.chain_id || ' ' || n)::bytea) for 20),
           (array['WETH', 'USDC', 'USDT', 'DAI', 'WBTC'])[n], 'ok', 'Quote ' || n, 'ok', 18, 'ok', false,
           1000, sha256('pin'), now(), now()
    from gazetteer.chains c, generate_series(1, 5) as n
    where (c.chain_id, n) not in ((1, 1), (1, 2));

    insert into gazetteer.tokens
        (chain_id, address, symbol, symbol_status, name, name_status, decimals, decimals_status, provisional,
         first_seen, resolved_at)
    values (1, '\\x{WETH}', 'WETH', 'ok', 'Wrapped Ether', 'ok', 18, 'ok', false, now(), now()),
           (1, '\\x{USDC}', 'USDC', 'ok', 'USD Coin', 'ok', 6, 'ok', false, now(), now());

    insert into gazetteer.quote_ranks (chain_id, address, rank, kind)
    select chain_id, address, array_position(array['USDC', 'USDT', 'DAI', 'WETH', 'WBTC'], symbol), 'stable'
    from gazetteer.tokens;

    insert into gazetteer.tokens
        (chain_id, address, symbol, symbol_status, name, name_status, decimals, decimals_status, provisional,
         pin_number, pin_hash, first_seen, resolved_at)
    select case when n % 20 < 12 then 1 when n % 20 < 17 then 137 else 42161 end,
           substring(sha256(('token ' || n)::bytea) for 20),
           case when n % 100 = 0 then (array['WETH', 'USDC', 'USDT', 'DAI', 'WBTC'])[1 + n / 100 % 5]
                when n % 7 = 0 then null
                else upper(substring(md5('symbol ' || n / 3) for 5)) end,
           case when n % 7 = 0 and n % 100 != 0 then 'absent' else 'ok' end,
           'Token ' || n, 'ok', 18, 'ok', false, 1000 + n, sha256('pin'),
           timestamptz '2024-01-01' + n * interval '1 minute', timestamptz '2024-01-02'
    from generate_series(0, {TOKENS - 1}) as n;
"""

# One side is a quote token in 19 of 20 pools, WETH in more than half; the other side repeats less the later it came.
_POOLS = f"""
    insert into gazetteer.pools
        (chain_id, pool_key, emitter, topic0, dex, protocol, token0, token1, fee_ppm, fee_kind, proof, block_number,
         block_hash, tx_hash, log_index, created_at, created_at_kind, first_seen, source, orphaned_at)
    select t.chain_id,
           case when n % {SINGLETON_EVERY} = 0 then sha256(('pool ' || n)::bytea)
                else substring(sha256(('pool ' || n)::bytea) for 20) end,
           substring(sha256(('factory ' || t.chain_id || ' ' || 1 + n % 20)::bytea) for 20), sha256('created'),
           'dex_' || 1 + n % 20, 'uniswap_v' || 2 + n % 2,
           least(t.address, o.address), greatest(t.address, o.address),
           3000, 'fixed', 'create2', 1000 + n::bigint * 20, sha256(('block ' || n)::bytea),
           sha256(('tx ' || n)::bytea), n % 200,
           timestamptz '2021-01-01' + n * interval '3 minutes', case when n % 3 = 0 then 'estimated' else 'log' end,
           timestamptz '2024-01-01' + n * interval '1 second',
           case when n > {POOLS} - 50000 then 'head' else 'history' end,
           case when n % {ORPHAN_EVERY} = 0 then timestamptz '2026-01-01' end
    from generate_series(1, {POOLS}) as n
    cross join lateral (
        select case when m.n % 20 < 12 then 1 when m.n % 20 < 17 then 137 else 42161 end as chain_id,
               substring(sha256(('token ' || m.n)::bytea) for 20) as address
        from (select (n * 7919::bigint % {TOKENS})::int as n) m
    ) t
    cross join lateral (
        select case
                   when n % 20 = 19
                       then substring(sha256(('token ' || (n * 104729::bigint + 20) % {TOKENS})::bytea) for 20)
                   when t.chain_id = 1 and n % 20 < 12 then '\\x{WETH}'::bytea
                   when t.chain_id = 1 and n % 20 < 15 then '\\x{USDC}'::bytea
                   else substring(sha256(('quote ' || t.chain_id || ' '
                                          || case when n % 20 < 12 then 1 else 2 + n % 4 end)::bytea) for 20)
               end as address
    ) o;

    insert into gazetteer.pools
        (chain_id, pool_key, emitter, topic0, dex, protocol, token0, token1, fee_ppm, fee_kind, proof, block_number,
         block_hash, tx_hash, log_index, created_at, created_at_kind, first_seen, source)
    select 1, substring(sha256(('main pair ' || n)::bytea) for 20),
           substring(sha256(('factory 1 ' || n)::bytea) for 20), sha256('created'), 'dex_' || n, 'uniswap_v3',
           '\\x{USDC}', '\\x{WETH}', 500, 'fixed', 'create2', 12376729 + n, sha256('block'), sha256('tx'), n,
           timestamptz '2021-05-05', 'log', timestamptz '2024-01-01', 'history'
    from generate_series(1, 20) as n;
"""

_REST = """
    insert into gazetteer.instruments
        (natural_key, hash, venue, scope, asset_class, inst_class, chain_id, pool_key, first_seen)
    select 'v1|' || p.dex || '|' || p.chain_id || '|0x' || encode(p.pool_key, 'hex') || '|0',
           ('x' || substring(encode(sha256(p.pool_key || p.chain_id::text::bytea), 'hex') for 16))::bit(64)::bigint,
           p.dex, p.chain_id::text, 'crypto', 'amm_pool', p.chain_id, p.pool_key, p.first_seen
    from gazetteer.pools p;

    insert into gazetteer.events (tx, kind, chain_id, subject, block_number, source, at)
    select 1 + row_number() over (order by first_seen, pool_key) / 2000, 'pool.created', chain_id, pool_key,
           block_number, source, first_seen
    from gazetteer.pools order by first_seen, pool_key;

    insert into gazetteer.work (kind, scope, key, lane, due, created_at)
    select 'token', 'ethereum', substring(sha256(('token ' || n * 20)::bytea) for 20), 1, now(), now()
    from generate_series(1, 20000) as n;
"""


def fill(url: str) -> None:
    """Write all of it into a migrated database, and let Postgres learn how it is distributed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # keys are right by construction
        connection.execute("set maintenance_work_mem = '256MB'")
        indexes = connection.execute("""
            select indexrelid::regclass::text, pg_get_indexdef(indexrelid)
            from pg_index join pg_class on pg_class.oid = indrelid
            where relnamespace = 'gazetteer'::regnamespace
              and not exists (select from pg_constraint where conindid = indexrelid)
        """).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}")
        for script in (_CHAINS, _TOKENS, _POOLS, _REST):
            connection.execute(script)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("vacuum analyze")
