"""From the logs of a window to what they announce. One bad log never stops a chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.dex import BY_NAME
from indexer.errors import ProofMismatch, UndecodableLog
from indexer.model import Address, Emitter, Hash32, Log, LogFilter, PoolCreated, PoolKey
from indexer.model.pool import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a window's logs say: pools, and logs of watched emitters that say nothing credible."""

    created: tuple[PoolCreated, ...]
    rejected: tuple[Rejected, ...]


def listening(emitters: Sequence[Emitter]) -> LogFilter:
    """The filter for a set of emitters: addresses and topics, each once, sorted."""
    return LogFilter(
        addresses=sorted({emitter.factory.address for emitter in emitters}),
        topics=sorted({emitter.topic0 for emitter in emitters}),
    )


def announced(emitters: Sequence[Emitter], logs: Sequence[Log]) -> Announced:
    """Decode what watched (emitter, topic0) pairs announced; the rest of the filter's cross product is not ours.

    Of several announcements of one pool by one emitter in one transaction the last stands: it says the most.
    """
    watched: Mapping[tuple[Address, Hash32], Emitter] = {emitter.key: emitter for emitter in emitters}
    created: dict[tuple[Hash32, Address, PoolKey], PoolCreated] = {}
    rejected: list[Rejected] = []
    for log in logs:
        emitter = watched.get((log.address, log.topics[0]))
        if emitter is None or log.block_number < emitter.factory.from_block:
            continue
        try:
            pool = BY_NAME[emitter.factory.protocol].decoders[log.topics[0]](log, emitter.factory)
        except (UndecodableLog, ProofMismatch) as error:
            rejected.append(Rejected(log=log, reason=f"{type(error).__name__}: {error}"))
        else:
            # Algebra Integral announces a custom pool as a pool first and, in the same breath, with its deployer
            created[log.tx_hash, log.address, pool.key] = pool
    return Announced(created=tuple(created.values()), rejected=tuple(rejected))
