"""Uniswap V1: one exchange per token, whose other side is always the native currency.

`NewExchange(address indexed token, address indexed exchange)`. Exchanges come from CREATE, so their address depends
on the factory's nonce, which the event does not say.
"""

from indexer.dex.spec import Dex
from indexer.evm.abi import contract_at, expect, topic
from indexer.model import NATIVE, Factory, Log, PoolCreated, PoolKey

NEW_EXCHANGE = topic("NewExchange(address,address)")


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=3, words=0)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(contract_at(log.topics[2], 0)),
        token0=NATIVE,
        token1=contract_at(log.topics[1], 0),
        proof="log",
        fee_ppm=factory.fee_ppm,
        fee_kind=factory.fee_kind,
    )


UNISWAP_V1 = Dex(name="uniswap_v1", decoders={NEW_EXCHANGE: _decode})
