"""The composition root: the only place that knows which adapter stands behind which port, and that reads settings.

Everything here is made once a process, on first use; a forked child calls `forget` and makes its own.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from indexer import known, store
from indexer import settings as decided
from indexer.errors import BadSetting
from indexer.flow.audit import WITNESSES
from indexer.flow.ranges import Ranges
from indexer.known import Chain, VenueRow
from indexer.model import Address, ChainId, Factory, LogFilter
from indexer.settings import Settings
from indexer.store import Db, audit, consent, facts, logins, quotes, slots
from indexer.store import venues as venue_facts
from indexer.store.clock import database_time
from indexer.wire.budget import Budget, Lane, budgeted, connect
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from indexer.wire.redact import holds_key, public_names
from indexer.wire.session import VenueSession
from indexer.wire.transport import HttpTransport
from indexer.wire.waker import Waker

T = TypeVar("T")

BURST_S = 2.0
"""How many seconds' worth of requests may be sent at once."""
SILENT_BLOCKS = 10
SHORTEST_SILENCE_S = 30.0
NOTHING = "none"
"""Instead of names of venues."""
ARCHIVE = "raw"

SETTINGS = decided.SETTINGS
clock = database_time
_made: dict[tuple[object, ...], Any] = {}


def forget() -> None:
    """Make everything anew in this process; what the parent had opened is left to the parent."""
    engine = _made.get(("db",))
    if engine is not None:
        engine.dispose(close=False)
    kept: dict[tuple[object, ...], Any] = {
        key: made for key, made in _made.items() if key[0] in ("settings", "chains", "venues")
    }
    _made.clear()
    _made.update(kept)


def _once(make: Callable[[], T], *key: object) -> T:
    if key not in _made:
        _made[key] = make()
    made: T = _made[key]
    return made


def settings() -> Settings:
    """What the operator decided. Raises BadSetting."""
    return _once(_checked_settings, "settings")


def _checked_settings() -> Settings:
    found = decided.read()
    if found.task_s >= found.lease_s:
        raise BadSetting(f"task_s = {found.task_s:g} has to be less than lease_s = {found.lease_s:g}")
    return found


def use(*, database_url: str, broker_url: str | None, data_dir: Path | None = None) -> None:
    """The servers of an embedded register that was found. Before anything else is made in this process."""
    found = settings()
    _made["settings",] = replace(
        found, database_url=database_url, broker_url=broker_url, data_dir=data_dir or found.data_dir
    )


def all_chains() -> tuple[Chain, ...]:
    """Every known chain; a row of gazetteer.toml replaces the one of the same id."""
    return _once(_all_chains, "chains")


def _all_chains() -> tuple[Chain, ...]:
    found = settings()
    own = known.parse_chains(found.chain_rows, str(found.file))
    ids = {chain.id for chain in own}
    chains = (*(chain for chain in known.chains() if chain.id not in ids), *own)
    names = [chain.name for chain in chains]
    for name in (*found.rpc, *(found.chains or ())):
        if name not in names:
            place = found.where.get(f"rpc_{name}", found.where["chains"])
            raise BadSetting(f"{place}: there is no chain {name!r}; use one of {', '.join(names)}, or add a [[chain]]")
    if len(set(names)) < len(names):
        raise BadSetting(f"{found.file}: a [[chain]] has the name of another chain; give it its own")
    return chains


def chains() -> tuple[Chain, ...]:
    """The chains that are followed."""
    wanted = settings().chains
    return tuple(chain for chain in all_chains() if wanted is None or chain.name in wanted)


def chain_names() -> list[str]:
    """The names of the chains that are followed."""
    return [chain.name for chain in chains()]


def chain(name: str) -> Chain:
    """One followed chain. Raises BadSetting for any other."""
    for found in chains():
        if found.name == name:
            return found
    raise BadSetting(f"there is no chain {name!r} here; use one of {', '.join(chain_names())}")


def factories() -> tuple[Factory, ...]:
    """Every known factory; a row of gazetteer.toml replaces the one of the same chain and address."""
    found = settings()
    own = known.parse_factories(found.factory_rows, str(found.file), all_chains())
    rows: dict[tuple[ChainId, Address], Factory] = {(each.chain_id, each.address): each for each in known.factories()}
    rows.update({(each.chain_id, each.address): each for each in own})
    return tuple(rows.values())


def load_facts() -> None:
    """Make the database say what is known: chains, factories, quote tokens, venues and which of them are listed."""
    with store.begin(db()) as tx:
        facts.load(tx, chains(), factories())
        quotes.load(tx, known.quote_rank())
        venue_facts.load(tx, all_venues(), known.schemes())
        slots.keep(tx, _scopes(), clock(tx))


def database_url() -> str:
    """Where Postgres is. Raises BadSetting where nobody said."""
    return _required(settings().database_url, "database_url")


def broker_url() -> str:
    """Where Redis or Valkey is, in redis-py's way of writing. Raises BadSetting where nobody said."""
    return _required(settings().broker_url, "broker_url")


def _required(value: str | None, name: str) -> str:
    if value is None:
        variable = decided.PREFIX + name.upper()
        raise BadSetting(f"{variable} is not set; set it, or run `gazetteer up`, which brings its own")
    return value


def db() -> Db:
    """The engine of this process. Nothing is opened before its first use."""
    return _once(lambda: store.connect(database_url(), name="gazetteer", pool_size=3), "db")


def urls(name: str) -> tuple[str, ...]:
    """The endpoints of a chain: what the operator named, else the public ones that are known."""
    return settings().rpc.get(name) or chain(name).endpoints


def is_keyed(url: str) -> bool:
    """Whether requests to this URL may cost somebody money: it holds a key, and is no public endpoint that is known."""
    return holds_key(url) and all(url not in chain.endpoints for chain in known.chains())


def endpoints(name: str, lane: Lane) -> Endpoints:
    """The endpoints of a chain as this process sees them, each within its budget; for history those consented to."""
    of = chain(name)
    # decided at each call: consent may come while this process runs
    allowed = tuple(url for url in _http(name) if lane != "history" or may_read_history(of, url))
    return _once(lambda: _endpoints(of, lane, allowed), "endpoints", name, lane, allowed)


def _endpoints(of: Chain, lane: Lane, allowed: tuple[str, ...]) -> Endpoints:
    return Endpoints([node for url, node in nodes(of.name, lane) if url in allowed], of.id, of.genesis_hash)


def nodes(name: str, lane: Lane) -> list[tuple[str, HttpNode]]:
    """Every HTTP endpoint of a chain with its URL, each within its budget, whatever it may be spent on."""
    of, http = chain(name), _http(name)
    named = zip(http, public_names(http), strict=True)
    return [(url, HttpNode(public, budgeted(HttpTransport(url), _budget(of, public), lane))) for url, public in named]


def _http(name: str) -> list[str]:
    return [url for url in urls(name) if url.startswith("http")]


def may_read_history(of: Chain, url: str) -> bool:
    """Whether this endpoint may be spent on history: a keyed one only by consent."""
    if settings().history == "none":
        return False
    if settings().history == "all" or not is_keyed(url):
        return True
    with store.begin(db()) as tx:
        return consent.read(tx, of.id).keyed


def _budget(of: Chain, public: str) -> Budget:
    per_s = settings().requests_per_s
    return _bucket(f"{of.name}:{public}", per_s, per_s * BURST_S)


def _bucket(name: str, per_s: float, burst: float) -> Budget:
    redis = None if settings().broker_url is None else _once(lambda: connect(broker_url()), "redis")
    return Budget(name, per_s=per_s, burst=burst, redis=redis, share=1 / settings().processes)


def ranges(name: str, endpoint: str) -> Ranges:
    """What this process has learned about one endpoint's ranges."""
    return _once(Ranges, "ranges", name, endpoint)


def floor(name: str) -> int | None:
    """The lowest block that history reads; None: all."""
    with store.begin(db()) as tx:
        return consent.read(tx, chain(name).id).floor


def chains_with_holes() -> list[str]:
    """The followed chains that miss blocks, where history is read at all."""
    if settings().history == "none":
        return []
    with store.begin(db()) as tx:
        found = consent.chains_with_holes(tx)
    return [name for name in found if name in chain_names()]


def chains_to_audit() -> list[str]:
    """The followed chains with blocks that a second endpoint could confirm, where history is read at all."""
    if settings().history == "none":
        return []
    with store.begin(db()) as tx:
        found = audit.chains_to_audit(tx)
    return [name for name in found if name in chain_names() and endpoints(name, "history").count > 1]


def witnesses(of: Endpoints) -> int:
    """How many of a chain's endpoints have to have read a block for an audit: those in service, up to the setting.

    Two at least, so that with a single one nothing is audited.
    """
    return max(min(settings().witnesses, of.in_service()), WITNESSES)


def waker(name: str) -> Waker:
    """Wake-ups for a chain's follower: its WebSocket endpoints, or only a timeout where it has none."""
    of = chain(name)
    with store.begin(db()) as tx:
        emitters = facts.watched(tx, of.id)
    wanted = LogFilter(
        addresses=sorted({emitter.factory.address for emitter in emitters}),
        topics=sorted({emitter.topic0 for emitter in emitters}),
    )
    sockets = [url for url in urls(name) if url.startswith("ws")]
    return Waker(sockets, wanted, silence_s=max(SILENT_BLOCKS * of.block_time_s, SHORTEST_SILENCE_S))


def all_venues() -> tuple[VenueRow, ...]:
    """Every known venue; a row of gazetteer.toml replaces the one of the same name."""
    return _once(_all_venues, "venues")


def _all_venues() -> tuple[VenueRow, ...]:
    found = settings()
    rows = {row.name: row for row in known.venues()}
    rows.update({row.name: row for row in known.parse_venues(found.venue_rows, str(found.file))})
    for name in found.venues or ():
        if name not in rows and name != NOTHING:
            names = ", ".join(sorted(rows))
            raise BadSetting(f"{found.where['venues']}: there is no venue {name!r}; use some of {names}, or none")
    for name in found.urls:
        if not any(name == row or name.startswith(f"{row}_") for row in rows):
            raise BadSetting(
                f"{found.where[f'url_{name}']}: there is no such venue; use one of {', '.join(sorted(rows))}"
            )
    return tuple(rows.values())


def venues() -> tuple[VenueRow, ...]:
    """The venues that are listed: those named in the settings, else all that are enabled."""
    wanted = settings().venues
    return tuple(row for row in all_venues() if (row.enabled if wanted is None else row.name in wanted))


def venue(name: str) -> VenueRow:
    """One listed venue. Raises BadSetting for any other."""
    for row in venues():
        if row.name == name:
            return row
    names = ", ".join(row.name for row in venues()) or "none"
    raise BadSetting(f"the venue {name!r} is not listed here; use one of {names}, or name it in GAZETTEER_VENUES")


def venue_session(row: VenueRow, lane: Lane, told: Callable[[int, int | None], None]) -> VenueSession:
    """What one run of a venue is asked through."""
    found = settings()
    prefix = f"{row.name}_"
    urls = {name.removeprefix(prefix): url for name, url in found.urls.items() if name.startswith(prefix)}
    if row.name in found.urls:
        urls[""] = found.urls[row.name]
    return VenueSession(
        venue=row.name,
        timeout_s=row.timeout_s,
        urls=urls,
        secrets=found.variables,
        budget=_bucket(f"venue:{row.name}", row.per_s, row.burst),
        lane=lane,
        read_token=lambda: _login(row.name),
        write_token=lambda new, old: _keep_login(row.name, new, old),
        told=told,
        ends_at=time.monotonic() + row.limit_s,
    )


def _login(name: str) -> bytes | None:
    with store.begin(db()) as tx:
        return logins.read(tx, name)


def _keep_login(name: str, new: bytes, instead_of: bytes | None) -> bool:
    with store.begin(db()) as tx:
        return logins.swap(tx, name, new, instead_of, clock(tx))


def archive() -> Path | None:
    """Where venues' raw lists are kept; None: nowhere, as no data directory was named."""
    root = settings().data_dir
    return None if root is None else root / ARCHIVE


def due_venues() -> list[tuple[str, str]]:
    """The scopes of venues listed here that are due and that nobody runs; new ones of the settings are due at once."""
    scopes = _scopes()
    with store.begin(db()) as tx:
        now = clock(tx)
        slots.add(tx, scopes, now)
        return [(venue, scope) for venue, scope in slots.due(tx, now) if scope in scopes.get(venue, ())]


def _scopes() -> dict[str, tuple[str, ...]]:
    return {row.name: row.scopes for row in venues()}
