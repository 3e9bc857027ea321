"""What the logs of a window announce."""

from indexer import known
from indexer.dex.algebra import CUSTOM_POOL, POOL
from indexer.flow.reading import announced
from indexer.model import Address, Emitter, Hash32, Log

DEPLOYER, TOKEN0, TOKEN1, POOL_AT = (Address(bytes([number]) * 20) for number in (0xDE, 0x10, 0x20, 0x77))
FACTORY = next(factory for factory in known.factories() if factory.dex == "camelot_v4")
EMITTERS = [Emitter(topic0=topic, factory=FACTORY) for topic in FACTORY.topics]


def word(value):
    return Hash32(value.rjust(32, b"\0"))


def log(index, *topics, tx=b"\1"):
    return Log(
        block_number=FACTORY.from_block,
        block_hash=word(b"\xb1"),
        tx_hash=word(tx),
        log_index=index,
        address=FACTORY.address,
        topics=topics,
        data=word(POOL_AT),
    )


def pool(index, **place):
    return log(index, POOL, word(TOKEN0), word(TOKEN1), **place)


def custom(index, **place):
    return log(index, CUSTOM_POOL, word(DEPLOYER), word(TOKEN0), word(TOKEN1), **place)


def test_a_pool_announced_twice_in_one_transaction_is_one_pool_as_the_last_log_tells_it():
    (one,) = announced(EMITTERS, [pool(0), custom(1)]).created
    assert (one.key, one.deployer, one.log.log_index) == (POOL_AT, DEPLOYER, 1)


def test_announcements_of_different_transactions_are_all_kept_for_the_register_to_judge():
    told = announced(EMITTERS, [pool(0), custom(1, tx=b"\2")]).created
    assert [each.deployer for each in told] == [None, DEPLOYER]
