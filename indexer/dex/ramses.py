"""Ramses concentrated pools, old and new: fees that their owners change.

Old (`ramses_cl`): `PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing,
address pool)`, one pool per couple and fee; the fee is in millionths and only the first one. Salt:
keccak(abi.encode(token0, token1, fee)). New (`ramses_v3_cl`): `PoolCreated(address indexed token0, address indexed
token1, int24 indexed tickSpacing, address pool)`, one pool per couple and tick spacing; the fee is not announced, and
what a pool would answer is true only until its next change. Which of the two events the new factories emit is not
confirmed, so both are read there; how their addresses derive is not known either, so their rows name no init hash.
"""

from indexer.dex.spec import Dex, proof_of
from indexer.evm.abi import WORD, contract_at, expect, int_at, keccak, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

BY_FEE = topic("PoolCreated(address,address,uint24,int24,address)")
BY_TICK_SPACING = topic("PoolCreated(address,address,int24,address)")


def _by_fee(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=2)
    pool = contract_at(log.data, WORD)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof=proof_of(factory, pool, lambda: keccak(b"".join(log.topics[1:]))),
        fee_ppm=uint_at(log.topics[3], 0, bits=24),
        fee_kind="mutable",
        tick_spacing=int_at(log.data, 0, bits=24),
    )


def _by_tick_spacing(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=1)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(contract_at(log.data, 0)),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof="log",
        fee_kind="mutable",
        tick_spacing=int_at(log.topics[3], 0, bits=24),
    )


RAMSES_CL = Dex(name="ramses_cl", decoders={BY_FEE: _by_fee})
RAMSES_V3_CL = Dex(name="ramses_v3_cl", decoders={BY_FEE: _by_fee, BY_TICK_SPACING: _by_tick_spacing})
