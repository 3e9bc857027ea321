"""The product on these nodes as people run it: a gazetteer.toml, and every role a process of its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from indexer.known import Chain
from indexer.model import Factory
from tests.lab.anvil import hexed
from tests.lab.deploy import Site
from tests.roles import Role, eventually

BLOCK_TIME_S = 0.5
POLL_S = 0.5
REQUESTS_PER_S = 5_000
MIGRATED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The processes by name: `follow.<chain>`, `worker.live`, `worker.history`, `beat`."""

    roles: Mapping[str, Role]
    env: Mapping[str, str]

    def said(self) -> str:
        """The end of what each of them logged, for a failed test."""
        return "\n".join(f"--- {name}\n{role.said()[-3000:]}" for name, role in self.roles.items())


@contextmanager
def running(
    directory: Path, sites: Sequence[Site], database_url: str, broker_url: str, **settings: object
) -> Iterator[Running]:
    """Migrate, start every role for `sites`, and stop them all at the end. `settings` go into gazetteer.toml."""
    with Redis.from_url(broker_url) as broker:
        broker.flushdb()
    config = directory / "gazetteer.toml"
    config.write_text(_toml(sites, settings))
    env = {
        "GAZETTEER_CONFIG": str(config),
        "GAZETTEER_DATABASE_URL": database_url,
        "GAZETTEER_BROKER_URL": broker_url,
    }
    words = {f"follow.{site.chain.name}": ("follow", site.chain.name) for site in sites}
    words["worker.live"] = ("worker", "--lane", "live", "--concurrency", "2")
    words["worker.history"] = ("worker", "--lane", "history", "--concurrency", "1")
    words["beat"] = ("beat",)
    with ExitStack() as stack:
        migrating = Role(directory / "migrate.log", env, "migrate")
        stack.callback(migrating.stop)
        eventually(lambda: not migrating.is_up, MIGRATED_S, what="migrate")
        assert migrating.process.returncode == 0, migrating.said()
        roles: dict[str, Role] = {}
        for name, line in words.items():
            roles[name] = Role(directory / f"{name}.log", env, *line)
            stack.callback(roles[name].stop)
        yield Running(roles=roles, env=env)


def _toml(sites: Sequence[Site], settings: Mapping[str, object]) -> str:
    told = {"chains": [site.chain.name for site in sites], "requests_per_s": REQUESTS_PER_S} | settings
    parts = [_lines(told)]
    for site in sites:
        parts.append("[[chain]]\n" + _lines(_chain(site.chain)))
        parts += ["[[factory]]\n" + _lines(_factory(site.chain, factory)) for factory in site.factories.values()]
    return "\n".join(parts)


def _lines(row: Mapping[str, object]) -> str:
    # a JSON value of these kinds is a TOML value too
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items() if value is not None)


def _chain(chain: Chain) -> dict[str, object]:
    return {
        "id": chain.id,
        "name": chain.name,
        "genesis_hash": hexed(chain.genesis_hash),
        "block_time_s": BLOCK_TIME_S,
        "poll_s": POLL_S,
        "finality_depth": chain.finality_depth,
        "native_symbol": chain.native_symbol,
        "native_name": chain.native_name,
        "native_decimals": chain.native_decimals,
        "multicall3": _text(chain.multicall3),
        "uniswap_multicall": _text(chain.uniswap_multicall),
        "endpoints": list(chain.endpoints),
    }


def _factory(chain: Chain, factory: Factory) -> dict[str, object]:
    return {
        "chain": chain.name,
        "dex": factory.dex,
        "protocol": factory.protocol,
        "address": hexed(factory.address),
        "from_block": factory.from_block,
        "from_block_quality": factory.from_block_quality,
        "init_code_hash": _text(factory.init_code_hash),
        "create2_deployer": _text(factory.create2_deployer),
        "fee_ppm": factory.fee_ppm,
        "fee_kind": factory.fee_kind,
        "tier": factory.tier,
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else hexed(value)
