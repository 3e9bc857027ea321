"""Uniswap V3 and its forks: one pool per token couple and fee tier.

`PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing, address pool)`;
the fee is in millionths. Salt: keccak(abi.encode(token0, token1, fee)). Whether the fee may change later is a fact
about the fork, so its row says it.
"""

from indexer.dex.spec import Dex, proof_of
from indexer.evm.abi import contract_at, expect, int_at, keccak, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

POOL_CREATED = topic("PoolCreated(address,address,uint24,int24,address)")


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=2)
    pool = contract_at(log.data, 32)
    fee_ppm = uint_at(log.topics[3], 0, bits=24)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof=proof_of(factory, pool, lambda: keccak(b"".join(log.topics[1:]))),
        fee_ppm=None if factory.fee_kind == "dynamic" else fee_ppm,
        fee_kind=factory.fee_kind,
        tick_spacing=int_at(log.data, 0, bits=24),
    )


UNISWAP_V3 = Dex(name="uniswap_v3", decoders={POOL_CREATED: _decode})
