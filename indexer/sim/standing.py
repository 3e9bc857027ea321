"""Who exists on a branch: pools that are taken, how many a factory has made, contracts and where they were deployed."""

from collections.abc import Collection, Sequence

from indexer.model import Address, Hash32
from indexer.sim.blocks import Block, Creation
from indexer.sim.contracts import AskedPool, Contract
from indexer.sim.families import ASKING, announce

Place = tuple[Address, Address, Address]


class Standing:
    """Kept along with the branch: every block is added when it is mined, and taken back when a fork drops it."""

    def __init__(self) -> None:
        self._counts: dict[Address, int] = {}
        self._taken: set[Place] = set()
        self._births: dict[Address, dict[Hash32, tuple[Contract, Block]]] = {}

    def admitted(self, wanted: Sequence[Creation]) -> tuple[tuple[Creation, int], ...]:
        """What can be included next, each with its factory's count after it: one pool a factory and pair."""
        included: list[tuple[Creation, int]] = []
        counts: dict[Address, int] = {}
        places: set[Place] = set()
        for creation in wanted:
            place, factory = creation.place, creation.factory.address
            if place in self._taken or place in places:
                continue
            places.add(place)
            count = counts.get(factory, self._counts.get(factory, 0)) + 1
            if creation.makes_pool:
                counts[factory] = count
            included.append((creation, count))
        return tuple(included)

    def add(self, block: Block) -> None:
        """The branch now holds this block. A token is deployed by every creation that mentions it first."""
        for creation, count in block.creations:
            self._taken.add(creation.place)
            if creation.makes_pool:
                self._counts[creation.factory.address] = count
            for spec in creation.tokens:
                self._deploy(spec.address, spec, block)
            if creation.factory.protocol in ASKING and creation.makes_pool:
                facts = announce(creation.wanted(count)).facts
                self._deploy(Address(facts.key), AskedPool(tick_spacing=facts.answered_tick_spacing), block)

    def _deploy(self, address: Address, contract: Contract, block: Block) -> None:
        self._births.setdefault(address, {})[block.hash] = contract, block

    def take_back(self, block: Block) -> None:
        """The branch no longer holds it. Its tokens are remembered: another branch may still be asked about."""
        for creation, _ in block.creations:
            self._taken.discard(creation.place)
            if creation.makes_pool:
                self._counts[creation.factory.address] -= 1

    def births(self, address: Address) -> Collection[tuple[Contract, Block]]:
        """What was deployed at this address, and in which block of whichever branch: two branches may differ in it."""
        return self._births.get(address, {}).values()
