"""Solidly V3: announced as Uniswap V3 pools are, but there is one pool per token couple and tick spacing.

`PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing, address pool)`;
the fee is in millionths and only the first one: its owner may set another. Salt: keccak(abi.encode(token0, token1,
tickSpacing)).
"""

from indexer.dex.spec import Dex, proof_of
from indexer.evm.abi import WORD, contract_at, expect, int_at, keccak, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

POOL_CREATED = topic("PoolCreated(address,address,uint24,int24,address)")


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=2)
    pool = contract_at(log.data, WORD)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof=proof_of(factory, pool, lambda: keccak(log.topics[1] + log.topics[2] + log.data[:WORD])),
        fee_ppm=uint_at(log.topics[3], 0, bits=24),
        fee_kind="mutable",
        tick_spacing=int_at(log.data, 0, bits=24),
    )


SOLIDLY_V3 = Dex(name="solidly_v3", decoders={POOL_CREATED: _decode})
