"""Liquidity Book (Trader Joe, LFJ) V2.0 to V2.2: one pair per token couple and bin step.

`LBPairCreated(address indexed tokenX, address indexed tokenY, uint256 indexed binStep, address LBPair, uint256 pid)`;
the tokens are not sorted, the bin step is in hundredths of a percent, and pid is the pair's place in the factory's
list, from 0. The fee is a base and a part that follows volatility. Pairs are clones, so nothing is derived.
"""

from indexer.dex.spec import Dex, index_of
from indexer.evm.abi import WORD, contract_at, expect, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

LB_PAIR_CREATED = topic("LBPairCreated(address,address,uint256,address,uint256)")
BIN_STEP_BITS = 16  # what the pairs themselves store


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=2)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(contract_at(log.data, 0)),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof="log",
        fee_kind="dynamic",
        bin_step=uint_at(log.topics[3], 0, bits=BIN_STEP_BITS),
        pool_index=index_of(uint_at(log.data, WORD) + 1),
    )


LIQUIDITY_BOOK = Dex(name="lb", decoders={LB_PAIR_CREATED: _decode})
