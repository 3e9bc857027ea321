"""What a protocol file must say, and the proof that its pools share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from indexer.errors import ProofMismatch
from indexer.evm.create2 import create2
from indexer.evm.dialogue import Dialogue
from indexer.model import Address, Factory, Hash32, Log, PoolAnswers, PoolCreated, PoolKey, Proof

Decoder = Callable[[Log, Factory], PoolCreated]
Questions = Callable[[PoolKey, Factory], Dialogue[PoolAnswers]]

MOST_INDEX = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dex:
    """One protocol family: how its factories announce a pool, and what is left to ask.

    A decoder takes a log of its topic0 and the factory that emitted it; it raises UndecodableLog where the log
    has another layout and ProofMismatch where the announced address or id is not the derived one. `questions` is
    None where the event says everything.
    """

    name: str
    decoders: Mapping[Hash32, Decoder]
    questions: Questions | None = None


def proof_of(factory: Factory, pool: Address, salt: Callable[[], Hash32]) -> Proof:
    """`create2` where the factory's init code hash is known and yields `pool`; `log` where it is not known.

    Raises ProofMismatch where it yields another address.
    """
    if factory.init_code_hash is None:
        return "log"
    derived = create2(factory.create2_deployer or factory.address, salt(), factory.init_code_hash)
    if derived != pool:
        message = f"announced 0x{pool.hex()}, but CREATE2 derives 0x{derived.hex()}"
        raise ProofMismatch(message)
    return "create2"


def index_of(count: int) -> int | None:
    """A factory's running count as it is stored; None where it is none that a factory could have reached."""
    return count if 0 < count <= MOST_INDEX else None
