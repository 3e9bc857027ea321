"""Algebra in its generations V1, V1.9 and Integral: fees that move by themselves, and a tick spacing to ask for.

`Pool(address indexed token0, address indexed token1, address pool)`: one pool per token couple. Integral adds
`CustomPool(address indexed deployer, address indexed token0, address indexed token1, address pool)`: one more per
deployer, which some versions announce by `Pool` too, in the same transaction. Salt: keccak(abi.encode(token0,
token1)), with the deployer in front for a custom pool; the creating contract is the factory's PoolDeployer. V1.9 has
a fee for each direction. The owner may change the tick spacing (V1.9, Integral), so what is kept is what the pool said
when it was asked.
"""

from dataclasses import replace

from indexer.dex.spec import Dex, proof_of
from indexer.errors import ProofMismatch, UndecodableLog
from indexer.evm.abi import WORD, contract_at, expect, int_at, keccak, selector, topic
from indexer.evm.dialogue import Dialogue
from indexer.model import Address, Answer, Call, Factory, Log, PoolAnswers, PoolCreated, PoolKey, Returned

POOL = topic("Pool(address,address,address)")
CUSTOM_POOL = topic("CustomPool(address,address,address,address)")
TICK_SPACING = selector("tickSpacing()")


def _pool(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=3, words=1)
    return _created(log, factory, contract_at(log.topics[1], 0), contract_at(log.topics[2], 0), None)


def _pool_of_integral(log: Log, factory: Factory) -> PoolCreated:
    """Where the address is not the derived one, the pool is a custom one and its deployer is told by another log."""
    try:
        return _pool(log, factory)
    except ProofMismatch:
        return _pool(log, replace(factory, init_code_hash=None))


def _custom_pool(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=1)
    deployer, token0, token1 = (contract_at(word, 0) for word in log.topics[1:])
    return _created(log, factory, token0, token1, deployer)


def _created(log: Log, factory: Factory, token0: Address, token1: Address, deployer: Address | None) -> PoolCreated:
    pool = contract_at(log.data, 0)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool),
        token0=token0,
        token1=token1,
        proof=proof_of(factory, pool, lambda: keccak(b"".join(log.topics[1:]))),
        fee_kind="dynamic",
        deployer=deployer,
        asks=True,
    )


def _ask(pool: PoolKey, _: Factory) -> Dialogue[PoolAnswers]:
    (answer,) = yield (Call(to=Address(pool), data=TICK_SPACING),)
    return PoolAnswers(tick_spacing=_int24(answer))


def _int24(answer: Answer) -> int | None:
    if not isinstance(answer, Returned) or len(answer.data) != WORD:
        return None
    try:
        return int_at(answer.data, 0, bits=24)
    except UndecodableLog:
        return None


ALGEBRA_V1 = Dex(name="algebra_v1", decoders={POOL: _pool}, questions=_ask)
ALGEBRA_V1_9 = Dex(name="algebra_v1_9", decoders={POOL: _pool}, questions=_ask)
ALGEBRA_INTEGRAL = Dex(
    name="algebra_integral", decoders={POOL: _pool_of_integral, CUSTOM_POOL: _custom_pool}, questions=_ask
)
