"""A simulated Ethereum of its own, all of it final, served over HTTP by one honest endpoint until it is told to stop.

    simulated.py ROOT BLOCKS POOLS

Writes ROOT/gazetteer.toml, whose chain and factories are this one's, prints the endpoint's URL, and counts the requests
that it answers in ROOT/requests.
"""

import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from indexer.sim.endpoint import Endpoint, Exchange
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import Server
from indexer.sim.world import HABITS, Site, World
from workers.local.world import write_settings

CHAIN = "ethereum"
SEED = 7
EPOCH_S = 1_700_000_000


class Counted(Endpoint):
    """Counts the bodies that it answers."""

    requests = 0

    def exchange(self, body: bytes) -> Exchange:
        self.requests += 1
        return super().exchange(body)


def world(blocks: int, pools: int) -> World:
    """One chain whose past holds so many announcements; the other chains' are empty."""
    empty = Habits(history_blocks=1, history_pools=0, pools_a_tick=0.0, reorg_share=0.0)
    habits = dict.fromkeys(HABITS, empty)
    return World(
        SEED, epoch_s=EPOCH_S, habits=habits | {CHAIN: replace(empty, history_blocks=blocks, history_pools=pools)}
    )


def stopped(of: World) -> Ledger:
    """Its ledger, whose every block is final."""
    ledger = of.ledgers[CHAIN]
    ledger.advance()
    ledger.stop()
    return ledger


def settings(of: World, root: Path, url: str) -> None:
    """gazetteer.toml with the one endpoint."""
    rows = [row | {"endpoints": [url]} for row in of.chain_rows("127.0.0.1:1") if row["name"] == CHAIN]
    write_settings(root, rows, [row for row in of.factory_rows() if row["chain"] == CHAIN])


def main(root: Path, blocks: int, pools: int) -> None:
    of = world(blocks, pools)
    endpoint = Counted("honest", stopped(of))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = Server([Site(chain=CHAIN, path=f"/{CHAIN}/honest", endpoint=endpoint)])
    server.start()
    url = f"http://{server.address}/{CHAIN}/honest"
    settings(of, root, url)
    print(url, flush=True)
    while not ended.wait(0.05):
        (root / "requests").write_text(str(endpoint.requests))
    server.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
