-- What every view and column says. One name means one thing in all views; where a view differs it is named with it.

comment on view api.pools is 'Every pool of the chains as we believe them now, one row per (chain, pool_id).';
comment on view api.new_pools is 'Pools created within the last 24 hours, the newest first.';
comment on view api.pool_tokens is
    'Every pool twice, once from each of its tokens: to ask for a token, or for a pair, without knowing the order.';
comment on view api.orphaned_pools is 'Pools whose announcement a fork took back; a pool announced again leaves this list.';
comment on view api.tokens is 'Every token that a pool named, as it describes itself. Identity is (chain, address), never the symbol.';
comment on view api.instruments is
    'What can be traded, pools and what venues list, one row per natural_key, in the columns of the Parquet files.';
comment on view api.venues is
    'Exchanges, brokers and data vendors whose lists are read, and who may be shown them.';
comment on view api.venue_runs is
    'Every reading of one part of a venue''s list: what came of it, and why it was not believed.';
comment on view api.listings is 'What venues list, one row per natural_key; what is gone stays, with its status.';
comment on view api.listing_versions is
    'What each listing was, by date: all of its identity as JSON. Rules and details make no versions.';
comment on view api.listing_changes is
    'What changed of a listing, when, from what to what: one row a field. The first row of each says status from NULL.';
comment on view api.trading_rules is
    'What orders have to keep to, by date; the row without valid_to holds now. NULL: the venue does not say.';
comment on view api.identifiers is
    'Names of listings in other schemes (ISIN, FIGI, conId, ...), by date, and who may pass them on.';
comment on view api.options_chain is
    'Listed options that are not gone: filter by underlying and expiry_date, order by strike_price.';
comment on view api.upcoming is 'What venues have announced and is still ahead: listings to begin or end.';
comment on view api.assets is 'What is traded, apart from where.';
comment on view api.asset_identifiers is
    'What names an asset for certain: contract address, ISIN, FIGI, ISO 4217, ... by date.';
comment on view api.asset_conflicts is
    'Names that several assets claim, and codes of venues (scheme code): they name none of them until that is settled.';
comment on view api.venue_codes is
    'What a venue''s own code meant, and when. Codes of two venues are never the same by themselves.';
comment on view api.same_asset is 'Which instruments are about which asset, how that is known, and how surely.';
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
            ('accepted', 'Whether a person let a list pass that would have been suspect.'),
            ('adjusted', 'Whether its terms were changed by a corporate action.'),
            ('anchor', 'Block up to which the chain is final for us: checked against our own checkpoints, never taken back.'),
            ('answered_at', 'When it was last asked; NULL: nothing was left to ask, or not yet asked.'),
            ('answered_block', 'Block at which it was last asked; NULL: not asked.'),
            ('answered_block_hash', 'Hash of answered_block.'),
            ('answers', 'How often it did what it was asked: one step, range or batch each.'),
            ('archive', 'Where the raw rows of the run lie; NULL: nowhere.'),
            ('asset_class', 'What it is about: crypto, equity, fx, commodity, debt, index, alternative; NULL: nobody says.'),
            ('asset_id', 'The asset.'),
            ('asset_ids', 'The assets that claim it.'),
            ('asset_type', 'Class of what is traded: crypto.'),
            ('at', 'When it was written.'),
            ('attrs', 'What else the venue says that stays: its own words.'),
            ('audited_blocks', 'Blocks up to the anchor that at least two endpoints have told, and whose differences were settled.'),
            ('audited_percent', 'audited_blocks, in percent of the blocks up to the anchor, cut to 4 digits.'),
            ('bad_answers', 'How often its answer contradicted the question or itself.'),
            ('base_address', 'The token that is priced: of the two the one that is not the quote.'),
            ('base_code', 'What is bought, in the venue''s own code.'),
            ('base_decimals', 'Decimals of the base token; NULL: unknown.'),
            ('base_symbol', 'Symbol of the base token as it calls itself; NULL: unknown.'),
            ('bin_step', 'Bin step in hundredths of a percent (Liquidity Book).'),
            ('block_hash', 'Hash of that block.'),
            ('block_number', 'The block.'),
            ('chain', 'Name of the chain.'),
            ('chain_id', 'EIP-155 id of the chain.'),
            ('book', 'The listing in whose order book it is traded: another one''s where the venue says it is its alias.'),
            ('changed', 'Fields that differ from the version before; empty: the first.'),
            ('client', 'Library and version that read it.'),
            ('code', 'The venue''s own code.'),
            ('company_name', 'The issuer; NULL: no venue says.'),
            ('confidence', 'How sure that is, 0 to 1.'),
            ('created_at', 'Time of the block that announced the pool, see created_at_kind; NULL: unknown.'),
            ('created_at_kind', 'How created_at is known: log, header (exact), or estimated between two exact ones.'),
            ('created_block', 'Block that announced the pool.'),
            ('currency', 'Currency it is priced in, where the venue says so.'),
            ('data', 'Data of the log, cut to 4 KiB.'),
            ('dead', 'Given up; see api.dead.'),
            ('decimals', 'Decimals as the token says; NULL: unknown, see decimals_status.'),
            ('decimals_raw', 'The bytes that decimals() returned, cut to 4 KiB.'),
            ('decimals_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('delist_at', 'When the venue announced it to end.'),
            ('delisted', 'Went: three lists without it, or the venue''s word.'),
            ('deployer_address', 'Deployer that the announcement names (Algebra custom pools).'),
            ('details_read_at', 'When the issuer''s facts were last told.'),
            ('details_source', 'Who told the issuer''s facts.'),
            ('dex', 'Public name of the deployment: uniswap_v2, quickswap_v3, ...'),
            ('display', 'Its name as people write it; not unique.'),
            ('due', 'Waits for a worker now.'),
            ('duplicates', 'Ids that were told more than once; one row of each counts.'),
            ('emitter_address', 'Contract that emitted the log.'),
            ('emitters', 'Pairs of factory and topic that are to be listened to.'),
            ('emitters_listened', 'How many of them the last step listened to.'),
            ('enabled', 'Whether it is listened to.'),
            ('endpoint', 'Name of the endpoint that the head was last seen at.'),
            ('error', 'Class of what went wrong, one word; NULL: nothing.'),
            ('every_s', 'Seconds between two readings of one scope.'),
            ('evidence', 'Why the list is thought whole: pages, the venue''s own count, ...'),
            ('exchange', 'Where it is traded: the dex, exchange or broker.'),
            ('exercise', 'american or european.'),
            ('expired', 'Went: the expiry had passed.'),
            ('expires_at', 'When it expires, where the venue says the moment.'),
            ('expiry_date', 'Day on which it expires.'),
            ('factory_address', 'Contract that announced the pool.'),
            ('fee_kind', 'fixed: fee_ppm is the fee. mutable: it was at creation. dynamic: it changes by itself. unknown: nobody says.'),
            ('fee_ppm', 'Swap fee in millionths (3000 = 0.3 %), see fee_kind; NULL: not known or not one number.'),
            ('field', 'What changed; attrs.x is x of attrs.'),
            ('finalized', 'Block that the node calls final.'),
            ('finalized_moved_at', 'When finalized last moved.'),
            ('finished_at', 'When it ended; NULL: it runs.'),
            ('first_missing', 'Lowest block not listened to; NULL: none.'),
            ('first_seen', 'When the register first wrote it.'),
            ('forked', 'How often it showed another block at our anchor.'),
            ('from_block', 'No pool was announced before this block.'),
            ('from_block_quality', 'How from_block is known: published, lower_bound, configured, or unknown (searched from the start).'),
            ('generation', 'Counts the bearers of one identifier, from 0: a name that comes back is another instrument.'),
            ('gone_at', 'Since when it is delisted or expired: the first list without it, or that said so.'),
            ('halted', 'Why the chain was stopped, and the command to run; NULL: it runs.'),
            ('hash', 'Unsigned 64 bits of BLAKE3 of natural_key, the digits of the Parquet files.'),
            ('head', 'Newest block that the node has shown.'),
            ('head_at', 'Time of the head block.'),
            ('holes', 'How many separate ranges are missing.'),
            ('hooks_address', 'Hooks contract (Uniswap V4); 20 zero bytes: none.'),
            ('id', 'Second half of the key: the order within a transaction.'),
            ('identifier', 'Unique per (exchange, scope, generation): the pool_id, or the venue''s most permanent id.'),
            ('industry', 'Industry of the issuer; NULL: no venue says.'),
            ('inst_class', 'What kind of instrument: amm_pool, spot, stock, etf, option, future, perpetual, ...; NULL: nobody says.'),
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
            ('last_missing', 'Highest block not listened to; NULL: none.'),
            ('last_seen', 'The last applied list that held it.'),
            ('last_updated', 'When its row last changed.'),
            ('last_upheld_at', 'When an audit last found that it had told rightly what others had not; NULL: never.'),
            ('later', 'Put off: asked again when due.'),
            ('latest', 'Whether it is the last bearer of its identifier.'),
            ('leased', 'A worker is at it.'),
            ('licence', 'Who may be shown it: public, personal (whoever has the account), restricted (under a contract only).'),
            ('licence_note', 'Why.'),
            ('list_at', 'When the venue began, or announced to begin, trading it.'),
            ('listed_on', 'Exchange that a broker names, in its own words.'),
            ('listened_from', 'Block from which the head lane listens without a gap; NULL: the last step did not.'),
            ('log_index', 'Index of the log in its block.'),
            ('losses', 'How many workers were lost at it.'),
            ('lot_size', 'Step of an order''s size.'),
            ('market_cap', 'Market capitalisation as last told, in market_cap_currency.'),
            ('market_cap_currency', 'Currency of market_cap; NULL: not said.'),
            ('max_notional', 'Largest worth of an order, in the quote currency.'),
            ('max_size', 'Largest size of an order.'),
            ('merged_id', 'The asset that it turned out to be; NULL: it stands for itself.'),
            ('method', 'How that is known: caip19, isin, figi_share, issuer, coingecko, ...'),
            ('method_off', 'How often it did not serve what was asked.'),
            ('mic', 'ISO 10383 code of the market; NULL: not known.'),
            ('min_notional', 'Least worth of an order, in the quote currency.'),
            ('min_size', 'Least size of an order.'),
            ('missed', 'Applied lists without it since it was last seen; gone after three.'),
            ('missing', 'Known, not in the list, not gone yet.'),
            ('missing_blocks', 'Blocks from from_block to to_block that were not listened to; NULL: the chain has no anchor yet.'),
            ('missing_data', 'How often it lacked a block or a state that exists.'),
            ('missing_since', 'The first of the lists without it; NULL: it is there.'),
            ('more', 'Other rules, in the venue''s own words.'),
            ('most_losses', 'Most workers lost at one of them.'),
            ('multiple', 'How much of tracks_id one unit follows.'),
            ('multiplier', 'How much of what it is about one unit stands for.'),
            ('name', 'Name as the token calls itself, cleaned; NULL: unknown, see name_status.'),
            ('name_raw', 'The bytes that name() returned, cut to 4 KiB.'),
            ('name_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('natural_key', 'Identity: v1|exchange|scope|identifier|generation; the scope of a pool is its chain.'),
            ('new', 'Taken up for the first time.'),
            ('new_value', 'The value from then on; NULL: not told any more.'),
            ('note', 'What the follower waits for; NULL: nothing.'),
            ('old_value', 'The value until then; NULL: not told before.'),
            ('oldest_due', 'Since when the oldest of them waits.'),
            ('omitted_logs', 'Logs of the chain that it did not show when it was asked for their blocks.'),
            ('option_type', 'call or put.'),
            ('orphaned_at', 'When a fork took it back; NULL: it stands.'),
            ('other_address', 'The other token.'),
            ('other_symbol', 'Symbol of the other token; NULL: unknown.'),
            ('pages', 'Requests or pages that the list took.'),
            ('pair', 'base-quote by symbol. The quote is the token of better rank: stable, wrapped native, BTC, rest; NULL: unknown.'),
            ('payoff', 'linear, inverse or quanto.'),
            ('percent', 'Share of the blocks that was listened to, cut: 100 only where nothing is missing.'),
            ('pool_address', 'Address of the pool''s contract; NULL where the pool is no contract (Uniswap V4).'),
            ('pool_id', 'The pool''s 20-byte address, or its 32-byte id inside a singleton.'),
            ('pool_index', 'The factory''s own count of this pool, where it announces one.'),
            ('proof', 'How the id is known: create2 and pool_key were derived again, log was only announced.'),
            ('protocol', 'Family whose layout it follows: uniswap_v2, uniswap_v3, ...'),
            ('provisional', 'Holds a negative answer that was not yet asked again, alone, at a final block.'),
            ('quote_address', 'The token it is priced in.'),
            ('quote_code', 'What it is priced in, in the venue''s own code.'),
            ('quote_decimals', 'Decimals of the quote token; NULL: unknown.'),
            ('quote_kind', 'stable, native or btc where others are quoted in it; else NULL.'),
            ('quote_rank', 'Its rank among those, 1 the best; else NULL.'),
            ('quote_symbol', 'Symbol of the quote token as it calls itself; NULL: unknown.'),
            ('rate_limited', 'How often it told us to slow down.'),
            ('ready', 'Enabled, not halted, seen within 30 s, every emitter listened to, and behind by at most 3 blocks or 10 s of blocks.'),
            ('reason', 'Why.'),
            ('reborn', 'Came back as a new generation.'),
            ('refused', 'How often it refused the size of a question in the end.'),
            ('resolved_at', 'When it first answered; NULL: not yet.'),
            ('retry_at', 'Not asked again before.'),
            ('role', 'base: it is what is bought. underlying: what the derivative is about. itself: the listing''s own identifier.'),
            ('rows', 'Rows that were read and understood.'),
            ('rules', 'Known ones whose trading rules changed.'),
            ('run_id', 'The run that wrote it, see api.venue_runs.'),
            ('safe', 'Block that the node calls safe; NULL: it does not say.'),
            ('same', 'As they were.'),
            ('scanned_blocks', 'Blocks from from_block to to_block that were listened to, all topics of the factory; NULL: no anchor yet.'),
            ('scheme', 'How it is named: isin, figi, conid, osi, ...'),
            ('scope', 'Part of the exchange''s list: spot, linear, option, ...; of a pool the chain.'),
            ('scopes', 'Parts of its list, each read by itself.'),
            ('sector', 'Sector of the issuer; NULL: no venue says.'),
            ('seen_at', 'When it was seen.'),
            ('settle_code', 'What it is settled in, in the venue''s own code.'),
            ('settle_symbol', 'What it is settled in, in the venue''s own code; NULL: not said.'),
            ('settlement', 'cash or physical.'),
            ('side', '0 for token0, 1 for token1.'),
            ('source', 'Which lane wrote it first: head or history.'),
            ('stable', 'Whether the pool follows the stable curve (Solidly).'),
            ('started_at', 'When it began.'),
            ('state', 'What was told, all of it; what is not here was not told.'),
            ('status', 'finalized: final and read completely. safe: the node calls its block safe. seen: a fork may take it back.'),
            ('strike_price', 'Strike, exactly as told.'),
            ('subject', 'The pool_id, or the token''s address; NULL for what venues list, see natural_key.'),
            ('symbol', 'Symbol as the token calls itself, cleaned; NULL: unknown, see symbol_status.'),
            ('symbol_raw', 'The bytes that symbol() returned, cut to 4 KiB.'),
            ('symbol_status', 'ok, absent, malformed, no_code or pending (not yet asked).'),
            ('tick_size', 'Step of an order''s price.'),
            ('tick_spacing', 'Tick spacing of concentrated liquidity.'),
            ('tier', 'core, or long_tail: known, and listened to where somebody enabled it.'),
            ('timed_out', 'How often no whole answer came in time.'),
            ('tip', 'Block up to which the chain is read.'),
            ('tip_at', 'Time of the tip block; NULL: unknown.'),
            ('tip_moved_at', 'When the tip last moved.'),
            ('title', 'Its name for people.'),
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
            ('tracks', 'What a tokenised share follows, in the venue''s own code.'),
            ('tracks_id', 'The asset that it follows without being it.'),
            ('tradable', 'Whether orders are taken, where the venue says so.'),
            ('tx', 'First half of the key: the transaction that wrote it, as this server counts them (a dump restored elsewhere is read from its start).'),
            ('tx_hash', 'Hash of the chain''s transaction.'),
            ('unasked_logs', 'How often its answer held logs that nobody had asked for.'),
            ('unavailable', 'How often there was no connection, or an error of the server.'),
            ('underlying', 'What a derivative is about, in the venue''s own code.'),
            ('unreadable', 'Rows that could not be understood; while there are any, nobody is missed.'),
            ('upheld_blocks', 'Blocks that it told rightly while an audit found that another endpoint, or the register, did not.'),
            ('valid_from', 'From when on.'),
            ('valid_to', 'Until when, not included; NULL: it holds now.'),
            ('value', 'Its version.'),
            ('venue_status', 'The venue''s own word for its status.'),
            ('wakeups', 'How the follower learns of new blocks: websocket or polling.'),
            ('what', 'list or delist.'),
            ('wrong_chain', 'How often it was of another chain than configured.'),
            ('wrong_hashes', 'Logs it showed under the hash of no block of the chain, which others showed under the right one.'),
            -- where a view means something of its own
            ('asset_conflicts.value', 'The name in that scheme; of a code venue:code.'),
            ('asset_identifiers.source', 'Who says so.'),
            ('asset_identifiers.value', 'The name in that scheme.'),
            ('assets.code', 'What people call it; not an identity.'),
            ('assets.kind', 'fiat, coin, token, equity, etf, index, commodity, ...'),
            ('assets.name', 'Its name; NULL: unknown.'),
            ('coverage.confidence', 'How sure the factory''s facts are: high, medium or low.'),
            ('coverage.factory_address', 'The factory.'),
            ('coverage.source', 'Where the factory''s facts are from.'),
            ('dead.key', 'The token''s address, or the pool_id.'),
            ('endpoint_health.endpoint', 'Public name of the endpoint; never its URL.'),
            ('events.kind', 'pool.created, pool.orphaned, pool.revived, pool.moved, pool.finalized, token.resolved, token.changed; instrument.listed, .changed, .status_changed, .delisted, .expired, .relisted, rules.changed.'),
            ('events.natural_key', 'The instrument of a venue''s list; NULL for pools and tokens.'),
            ('events.source', 'Who wrote it: head, history (a backfilled or audited pool), resolve, rewind or venue.'),
            ('identifiers.source', 'Who says so: the venue, or another.'),
            ('identifiers.symbol', 'The venue''s own ticker.'),
            ('identifiers.value', 'The name in that scheme.'),
            ('instruments.asset_type', 'Kind of instrument; of a pool or a spot pair crypto, forex or another class.'),
            ('instruments.base_symbol', 'Symbol of a pool''s base token; else what is bought, in the venue''s own code; NULL: unknown.'),
            ('instruments.quote_symbol', 'Symbol of a pool''s quote token; else what it is priced in, in the venue''s own code; NULL: unknown.'),
            ('instruments.status', 'pre_listing, active, halted, restricted, delisted, expired or unknown; a pool is active, and api.pools says how final.'),
            ('instruments.symbol', 'Of a pool token0-token1 by symbol, in the event''s order; else the venue''s own ticker; NULL: unknown.'),
            ('listing_changes.at', 'When the register learned it.'),
            ('listing_changes.symbol', 'The venue''s own ticker, as of now.'),
            ('listings.asset_type', 'Kind of instrument; of a spot pair crypto, forex or another class.'),
            ('listings.identifier', 'The venue''s most permanent id of it; unique per (exchange, scope, generation).'),
            ('listings.natural_key', 'Identity: v1|exchange|scope|identifier|generation.'),
            ('listings.status', 'pre_listing, active, halted, restricted, delisted, expired, or unknown: a word we do not know.'),
            ('listings.symbol', 'The venue''s own ticker.'),
            ('new_pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('options_chain.status', 'pre_listing, active, halted, restricted or unknown.'),
            ('options_chain.symbol', 'The venue''s own ticker.'),
            ('orphaned_pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('pools.symbol', 'token0-token1 by symbol, in the event''s order; NULL: unknown.'),
            ('tokens.address', 'Address of the token; 20 zero bytes are the native currency.'),
            ('trading_rules.symbol', 'The venue''s own ticker.'),
            ('upcoming.at', 'The announced moment.'),
            ('upcoming.status', 'Its status now.'),
            ('upcoming.symbol', 'The venue''s own ticker.'),
            ('venue_codes.source', 'Who says so.'),
            ('venue_runs.changed', 'Known ones that differ: each has a new version.'),
            ('venue_runs.reason', 'Why it was not applied, or what a person accepted.'),
            ('venue_runs.run_id', 'The run.'),
            ('venue_runs.status', 'running, applied, suspect (not believed: nothing was changed), failed, or disabled (no credentials).'),
            ('venues.enabled', 'Whether it is read.'),
            ('venues.exchange', 'Its name in all views.'),
            ('venues.kind', 'cex, broker or data.'),
            ('venues.source', 'Where the venue''s facts are from.'),
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
