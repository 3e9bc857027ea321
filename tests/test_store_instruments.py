"""Every pool has one instrument, whose hash is the BLAKE3 of its natural key, or of a salted one where it is taken."""

import pytest
from blake3 import blake3

from indexer.model import instrument_hash
from indexer.store import instruments
from tests.lab import register
from tests.lab.announcing import OTHER_FACTORY, announce, pool_key, rows, settle
from tests.lab.register import ETHEREUM, FACTORY, NOW


@pytest.fixture
def tx(db):
    """A transaction on a register with two factories. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection, FACTORY, OTHER_FACTORY)
        yield connection


def natural_key(key, dex="uniswap_v2"):
    return f"v1|{dex}|ethereum|0x{pool_key(key).hex()}|0"


def digest(words):
    return int.from_bytes(blake3(words.encode()).digest()[:8], "big")


def take(tx, value, name):
    """Somebody else's instrument holds this hash already."""
    signed = int.from_bytes(value.to_bytes(8, "big"), "big", signed=True)
    tx.exec_driver_sql(
        "insert into gazetteer.instruments (natural_key, hash, venue, scope, asset_class, inst_class, first_seen)"
        " values (%s, %s, 'elsewhere', 'spot', 'crypto', 'spot', %s)",
        (name, signed, NOW),
    )


def held(tx):
    found = rows(tx, "select natural_key, hash, hash_salt from gazetteer.instruments where pool_key is not null")
    return {row.natural_key: (row.hash % 2**64, row.hash_salt) for row in found}


def test_every_pool_has_one_instrument_whose_hash_is_that_of_its_natural_key(tx):
    settle(tx, 1_001, 1_005, [announce(number, 1_001 + number) for number in range(4)])
    assert held(tx) == {natural_key(number): (digest(natural_key(number)), 0) for number in range(4)}


def test_an_instrument_stays_through_orphaning_and_revival(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002)])
    before = rows(tx, "select xmin, ctid, * from gazetteer.instruments")
    settle(tx, 1_001, 1_005, [])
    settle(tx, 1_001, 1_005, [announce(1, 1_004, branch="b")])
    assert rows(tx, "select xmin, ctid, * from gazetteer.instruments") == before


def test_a_hash_that_is_taken_is_salted_and_recorded(tx):
    take(tx, digest(natural_key(1)), "v1|elsewhere|spot|ONE|0")
    settle(tx, 1_001, 1_005, [announce(number, 1_001 + number) for number in range(3)])
    salted = held(tx)
    assert salted[natural_key(1)] == (digest(f"{natural_key(1)}|#1"), 1)
    assert salted[natural_key(2)] == (digest(natural_key(2)), 0)
    recorded = rows(tx, "select natural_key, other_key, hash from gazetteer.hash_collisions")
    assert [(row.natural_key, row.other_key, row.hash % 2**64) for row in recorded] == [
        (natural_key(1), "v1|elsewhere|spot|ONE|0", digest(natural_key(1)))
    ]


def test_a_salted_hash_may_be_taken_too(tx):
    for salt in range(3):
        take(tx, instrument_hash(natural_key(1), salt), f"taken {salt}")
    settle(tx, 1_001, 1_005, [announce(1, 1_002)])
    assert held(tx) == {natural_key(1): (digest(f"{natural_key(1)}|#3"), 3)}


def test_the_same_collision_ends_the_same_way_again(tx):
    take(tx, digest(natural_key(1)), "v1|elsewhere|spot|ONE|0")
    ends = []
    for _ in range(2):
        with tx.begin_nested() as savepoint:
            settle(tx, 1_001, 1_005, [announce(2, 1_003), announce(1, 1_002)])
            ends.append(held(tx))
            savepoint.rollback()
    assert ends[0] == ends[1]


def test_where_all_salts_are_taken_it_stops_instead_of_writing_a_wrong_hash(tx):
    for salt in range(instruments.MOST_SALTS):
        take(tx, instrument_hash(natural_key(1), salt), f"taken {salt}")
    with pytest.raises(AssertionError, match="all taken"):
        settle(tx, 1_001, 1_005, [announce(1, 1_002)])


def test_an_instrument_that_is_there_is_left_alone(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002)])
    before = rows(tx, "select xmin, ctid, * from gazetteer.instruments")
    instruments.add_pools(tx, ETHEREUM.id, "ethereum", [announce(1, 1_002)], NOW)
    assert rows(tx, "select xmin, ctid, * from gazetteer.instruments") == before
    assert rows(tx, "select 1 from gazetteer.hash_collisions") == []
