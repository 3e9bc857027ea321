-- What every view and column says. One name means one thing in all views; where a view differs it is named with it.

comment on view api.pools is 'Every pool of the chains as we believe them now, one row per (chain, pool_id).';
comment on view api.new_pools is 'Pools created within the last 24 hours, the newest first.';
comment on view api.pool_tokens is
    'Every pool twice, once from each of its tokens: to ask for a token, or for a pair, without knowing the order.';
comment on view api.orphaned_pools is 'Pools whose announcement a fork took back; a pool announced again leaves this list.';
comment on view api.tokens is 'Every token that a pool named, as it describes itself. Identity is (chain, address), never the symbol.';
comment on view api.instruments is 'What can be traded, one row per natural_key, in the columns of the Parquet files.';
comment on view api.chain_status is 'Where each chain stands: the head as it was last seen, how far it is read, what is final.';
comment on view api.coverage is 'Which blocks of each factory were really listened to: the proof that nothing is missing.';
comment on view api.endpoint_health is
    'How each endpoint behaved since it was first asked: how often it answered, failed, lagged, and told something else than others.';
comment on view api.backlog is 'How much is left to ask, by chain, kind and lane; history that is missing is in coverage.';
comment on view api.dead is 'What was given up after five lost workers, and why; `gazetteer work retry` brings it back.';
comment on view api.rejected_logs is 'Logs of watched factories that announced nothing credible, and why.';
comment on view api.events is
    'What happened, in the order (tx, id). Read on from the last key: where (tx, id) > (:tx, :id) order by tx, id. Nothing is missed.';
comment on view api.meta is 'Versions of this surface and of the tables below it.';

do $$
declare
    word record;
    missing text;
begin
    for word in
        with words (name, says) as (values
            ('answered_block', 'Block at which it was last asked; NULL: not asked.'),
            ('answered_at', 'When it was last asked; NULL: nothing was left to ask, or not yet asked.'),
            ('answered_block_hash', 'Hash of answered_block.'),
            ('anchor', 'Block up to which the chain is final for us: checked against our own checkpoints, never taken back.'),
            ('answers', 'How often it did what it was asked: one step, range or batch each.'),
            ('asset_type', 'Class of what is traded: crypto.'),
            ('at', 'When it was written.'),
            ('audited_blocks', 'Blocks up to the anchor that at least two endpoints have told, and whose differences were settled.'),
            ('audited_percent', 'audited_blocks, in percent of the blocks up to the anchor, cut to 4 digits.'),
            ('bad_answers', 'How often its answer contradicted the question or itself.'),
            ('base_address', 'The token that is priced: of the two the one that is not the quote.'),
            ('base_decimals', 'Decimals of the base token; NULL: unknown.'),
            ('base_symbol', 'Symbol of the base token as it calls itself; NULL: unknown.'),
            ('bin_step', 'Bin step in hundredths of a percent (Liquidity Book).'),
            ('block_hash', 'Hash of that block.'),
            ('block_number', 'The block.'),
            ('chain', 'Name of the chain.'),
            ('chain_id', 'EIP-155 id of the chain.'),
            ('confidence', 'How sure the factory''s facts are: high, medium or low.'),
            ('created_at', 'Time of the block that announced the pool, see created_at_kind; NULL: unknown.'),
            ('created_at_kind', 'How created_at is known: log, header (exact), or estimated between two exact ones.'),
            ('created_block', 'Block that announced the pool.'),
            ('data', 'Data of the log, cut to 4 KiB.'),
            ('dead', 'Given up; see api.dead.'),
            ('decimals', 'Decimals as the token says; NULL: unknown, see decimals_status.'),
            ('decimals_raw', 'The bytes that decimals() returned, cut to 4 KiB.'),
            ('decimals_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('deployer_address', 'Deployer that the announcement names (Algebra custom pools).'),
            ('dex', 'Public name of the deployment: uniswap_v2, quickswap_v3, ...'),
            ('due', 'Waits for a worker now.'),
            ('emitter_address', 'Contract that emitted the log.'),
            ('emitters', 'Pairs of factory and topic that are to be listened to.'),
            ('emitters_listened', 'How many of them the last step listened to.'),
            ('enabled', 'Whether it is listened to.'),
            ('endpoint', 'Name of the endpoint that the head was last seen at.'),
            ('exchange', 'Where it is traded: the dex.'),
            ('factory_address', 'Contract that announced the pool.'),
            ('fee_kind', 'fixed: fee_ppm is the fee. mutable: it was at creation. dynamic: it changes by itself. unknown: nobody says.'),
            ('fee_ppm', 'Swap fee in millionths (3000 = 0.3 %), see fee_kind; NULL: not known or not one number.'),
            ('finalized', 'Block that the node calls final.'),
            ('finalized_moved_at', 'When finalized last moved.'),
            ('first_missing', 'Lowest block not listened to; NULL: none.'),
            ('first_seen', 'When the register first wrote it.'),
            ('forked', 'How often it showed another block at our anchor.'),
            ('from_block', 'No pool was announced before this block.'),
            ('from_block_quality', 'How from_block is known: published, lower_bound, configured, or unknown (searched from the start).'),
            ('halted', 'Why the chain was stopped, and the command to run; NULL: it runs.'),
            ('hash', 'Unsigned 64 bits of BLAKE3 of natural_key, the digits of the Parquet files.'),
            ('head', 'Newest block that the node has shown.'),
            ('head_at', 'Time of the head block.'),
            ('holes', 'How many separate ranges are missing.'),
            ('hooks_address', 'Hooks contract (Uniswap V4); 20 zero bytes: none.'),
            ('id', 'Second half of the key: the order within a transaction.'),
            ('identifier', 'Unique per (exchange, chain_id): the pool_id.'),
            ('inst_class', 'What kind of instrument: amm_pool.'),
            ('invented_logs', 'Logs it showed that are in no block of the chain.'),
            ('is_base', 'Whether this token is the base of the pair, not the quote.'),
            ('key', 'What is versioned.'),
            ('kind', 'token, or pool (with questions of its own).'),
            ('lag_blocks', 'Blocks of the head not yet read.'),
            ('lag_s', 'Seconds by the chain''s own clock between the tip and the head.'),
            ('lagged', 'How often its head was behind blocks that were read already.'),
            ('lane', 'live, or history (waits while live is due).'),
            ('last_answer_at', 'When its last answer was counted; NULL: never.'),
            ('last_failure_at', 'When its last failure was counted; NULL: never.'),
            ('last_lie_at', 'When an audit last found that it had told something else than is true; NULL: never.'),
            ('last_upheld_at', 'When an audit last found that it had told rightly what others had not; NULL: never.'),
            ('last_missing', 'Highest block not listened to; NULL: none.'),
            ('later', 'Put off: asked again when due.'),
            ('leased', 'A worker is at it.'),
            ('listened_from', 'Block from which the head lane listens without a gap; NULL: the last step did not.'),
            ('log_index', 'Index of the log in its block.'),
            ('losses', 'How many workers were lost at it.'),
            ('method_off', 'How often it did not serve what was asked.'),
            ('missing_blocks', 'Blocks from from_block to to_block that were not listened to; NULL: the chain has no anchor yet.'),
            ('missing_data', 'How often it lacked a block or a state that exists.'),
            ('most_losses', 'Most workers lost at one of them.'),
            ('name', 'Name as the token calls itself, cleaned; NULL: unknown, see name_status.'),
            ('name_raw', 'The bytes that name() returned, cut to 4 KiB.'),
            ('name_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('natural_key', 'Identity: v1|exchange|chain|pool_id|generation.'),
            ('note', 'What the follower waits for; NULL: nothing.'),
            ('oldest_due', 'Since when the oldest of them waits.'),
            ('omitted_logs', 'Logs of the chain that it did not show when it was asked for their blocks.'),
            ('orphaned_at', 'When a fork took it back; NULL: it stands.'),
            ('other_address', 'The other token.'),
            ('other_symbol', 'Symbol of the other token; NULL: unknown.'),
            ('pair', 'base-quote by symbol. The quote is the token of better rank: stable, wrapped native, BTC, rest; NULL: unknown.'),
            ('percent', 'Share of the blocks that was listened to, cut: 100 only where nothing is missing.'),
            ('pool_address', 'Address of the pool''s contract; NULL where the pool is no contract (Uniswap V4).'),
            ('pool_id', 'The pool''s 20-byte address, or its 32-byte id inside a singleton.'),
            ('pool_index', 'The factory''s own count of this pool, where it announces one.'),
            ('proof', 'How the id is known: create2 and pool_key were derived again, log was only announced.'),
            ('protocol', 'Family whose layout it follows: uniswap_v2, uniswap_v3, ...'),
            ('provisional', 'Holds a negative answer that was not yet asked again, alone, at a final block.'),
            ('quote_address', 'The token it is priced in.'),
            ('quote_decimals', 'Decimals of the quote token; NULL: unknown.'),
            ('quote_kind', 'stable, native or btc where others are quoted in it; else NULL.'),
            ('quote_rank', 'Its rank among those, 1 the best; else NULL.'),
            ('quote_symbol', 'Symbol of the quote token as it calls itself; NULL: unknown.'),
            ('rate_limited', 'How often it told us to slow down.'),
            ('ready', 'Enabled, not halted, seen within 30 s, every emitter listened to, and behind by at most 3 blocks or 10 s of blocks.'),
            ('reason', 'Why.'),
            ('refused', 'How often it refused the size of a question in the end.'),
            ('resolved_at', 'When it first answered; NULL: not yet.'),
            ('safe', 'Block that the node calls safe; NULL: it does not say.'),
            ('scanned_blocks', 'Blocks from from_block to to_block that were listened to, all topics of the factory; NULL: no anchor yet.'),
            ('seen_at', 'When it was seen.'),
            ('side', '0 for token0, 1 for token1.'),
            ('source', 'Which lane wrote it first: head or history.'),
            ('stable', 'Whether the pool follows the stable curve (Solidly).'),
            ('status', 'finalized: final and read completely. safe: the node calls its block safe. seen: a fork may take it back.'),
            ('subject', 'The pool_id, or the token''s address.'),
            ('symbol', 'Symbol as the token calls itself, cleaned; NULL: unknown, see symbol_status.'),
            ('symbol_raw', 'The bytes that symbol() returned, cut to 4 KiB.'),
            ('symbol_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('tick_spacing', 'Tick spacing of concentrated liquidity.'),
            ('tier', 'core, or long_tail: known, and listened to where somebody enabled it.'),
            ('timed_out', 'How often no whole answer came in time.'),
            ('tip', 'Block up to which the chain is read.'),
            ('tip_at', 'Time of the tip block; NULL: unknown.'),
            ('tip_moved_at', 'When the tip last moved.'),
            ('to_block', 'The anchor: up to here coverage is asked for; NULL: the chain has no anchor yet.'),
            ('token0_address', 'First token in the event''s order; 20 zero bytes are the native currency.'),
            ('token0_decimals', 'Decimals of the first token; NULL: unknown.'),
            ('token0_symbol', 'Symbol of the first token as it calls itself; NULL: unknown.'),
            ('token1_address', 'Second token in the event''s order.'),
            ('token1_decimals', 'Decimals of the second token; NULL: unknown.'),
            ('token1_symbol', 'Symbol of the second token as it calls itself; NULL: unknown.'),
            ('token_address', 'This token.'),
            ('token_symbol', 'Symbol of this token as it calls itself; NULL: unknown.'),
            ('topics', 'Topics of the log, the first is the event''s signature.'),
            ('tx', 'First half of the key: the transaction that wrote it, as this server counts them (a dump restored elsewhere is read from its start).'),
            ('tx_hash', 'Hash of the chain''s transaction.'),
            ('unasked_logs', 'How often its answer held logs that nobody had asked for.'),
            ('unavailable', 'How often there was no connection, or an error of the server.'),
            ('upheld_blocks', 'Blocks that it told rightly while an audit found that another endpoint, or the register, did not.'),
            ('value', 'Its version.'),
            ('wakeups', 'How the follower learns of new blocks: websocket or polling.'),
            -- where a view means something of its own
            ('wrong_chain', 'How often it was of another chain than configured.'),
            ('wrong_hashes', 'Logs it showed under the hash of no block of the chain, which others showed under the right one.'),
            ('tokens.address', 'Address of the token; 20 zero bytes are the native currency.'),
            ('pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('new_pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('orphaned_pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('instruments.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('coverage.factory_address', 'The factory.'),
            ('coverage.source', 'Where the factory''s facts are from.'),
            ('dead.key', 'The token''s address, or the pool_id.'),
            ('endpoint_health.endpoint', 'Public name of the endpoint; never its URL.'),
            ('events.kind', 'pool.created, pool.orphaned, pool.revived, pool.moved, pool.finalized, token.resolved, token.changed.'),
            ('events.source', 'Who wrote it: head, history (a backfilled or audited pool), resolve or rewind.'),
            ('events.block_number', 'The announcement''s block; for a token the block at which it was asked.'))
        select c.oid::regclass as relation, a.attname as name,
               coalesce(
                   (select says from words where words.name = c.relname || '.' || a.attname),
                   (select says from words where words.name = a.attname)) as says
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'api'::regnamespace and c.relkind = 'v'
        order by c.relname, a.attnum
    loop
        if word.says is null then
            missing := concat_ws(', ', missing, word.relation || '.' || word.name);
        else
            execute 'comment on column ' || word.relation || '.' || quote_ident(word.name)
                || ' is ' || quote_literal(word.says);
        end if;
    end loop;
    if missing is not null then
        raise exception using message = 'columns without a comment: ' || missing;
    end if;
end
$$;
