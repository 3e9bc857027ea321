"""Event logs from their declarations, laid out by eth_abi: the other way round than the register reads them."""

import re
from dataclasses import dataclass

from eth_abi.abi import encode

from indexer.evm.abi import keccak
from indexer.model import Hash32
from indexer.sim.contracts import WORD

_DECLARATION = re.compile(r"(\w+)\((.*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event. `indexed` and `plain` are the ABI types of its topics and of its data, in their order."""

    topic0: Hash32
    indexed: tuple[str, ...]
    plain: tuple[str, ...]

    def log(self, indexed: tuple[object, ...], plain: tuple[object, ...]) -> tuple[tuple[Hash32, ...], bytes]:
        """Topics and data of one log with these values. Indexed types have to be static."""
        words = encode(self.indexed, indexed)
        topics = [Hash32(words[at : at + WORD]) for at in range(0, len(words), WORD)]
        return (self.topic0, *topics), encode(self.plain, plain)


def event(declaration: str) -> Event:
    """An event from its Solidity declaration, as in `Mint(address indexed to, uint256 amount)`."""
    found = _DECLARATION.fullmatch(declaration)
    if found is None:
        raise ValueError(declaration)
    name, told = found.groups()
    words = [argument.split() for argument in told.split(",")]
    signature = f"{name}({','.join(word[0] for word in words)})"
    return Event(
        topic0=keccak(signature.encode()),
        indexed=tuple(word[0] for word in words if "indexed" in word),
        plain=tuple(word[0] for word in words if "indexed" not in word),
    )
