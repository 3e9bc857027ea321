"""What an endpoint told of a branch that never was ours is asked again once the anchor has passed it."""

from dataclasses import replace

import pytest

from indexer import store
from indexer.model import Hash32
from tests.lab.announcing import rows
from tests.lab.simulated import World

FALSE = Hash32(b"\xfa" * 32)


class Elsewhere:
    """An endpoint on another branch of its own: its newest block has another hash, and a token another symbol there."""

    name = "elsewhere"

    def __init__(self, node):
        self.node = node
        self.true = None

    def __getattr__(self, name):
        return getattr(self.node, name)

    def heads(self):
        heads = self.node.heads()
        self.true = heads.latest.ref
        return replace(heads, latest=replace(heads.latest, hash=FALSE))

    def ask(self, questions, pin):
        answers = self.node.ask(questions, self.true if pin.hash == FALSE else pin)
        return [replace(each, data=each.data.replace(b"A", b"Z")) for each in answers]


def ask(world, query, **values):
    with store.begin(world.db) as tx:
        return rows(tx, query, **values)


@pytest.fixture
def world(db):
    world = World(db).start()
    world.ledger.advance_to(20)
    world.follow(blocks=1)
    return world


def told(world):
    found = ask(world, "select address, symbol, pin_hash, provisional from gazetteer.tokens where pin_hash is not null")
    return {bytes(row.address): row for row in found}


def due(world):
    return {bytes(row.key) for row in ask(world, "select key from gazetteer.work where kind = 'token'")}


def finish(world, passes=60):
    for _ in range(passes):
        world.tokens()
        world.now_s += 30
        world.ledger.advance()
        world.follow()
        if not due(world):
            return
    raise AssertionError("tokens are left")


def test_an_answer_of_another_branch_is_asked_again_when_the_anchor_has_passed(world):
    world.tokens(Elsewhere(world.node()))
    lied = {key for key, row in told(world).items() if bytes(row.pin_hash) == FALSE}
    positive = lied - due(world)
    assert positive, "positive answers are kept at once"
    wrong = {key: row.symbol for key, row in told(world).items() if "Z" in (row.symbol or "")}
    assert wrong, "nobody was told anything false"
    for _ in range(60):
        world.ledger.advance()
    world.follow(blocks=1)
    assert positive <= due(world)
    assert all(told(world)[key].provisional for key in positive)
    world.ledger.stop()
    finish(world)
    found = told(world)
    assert all(bytes(found[key].pin_hash) != FALSE and not found[key].provisional for key in lied)
    assert any(found[key].symbol != symbol for key, symbol in wrong.items())


def test_an_answer_of_our_own_branch_is_left_alone(world):
    world.tokens()
    positive = told(world).keys() - due(world)
    before = {key: tuple(told(world)[key]) for key in positive}
    for _ in range(60):
        world.ledger.advance()
    world.follow(blocks=1)
    assert positive
    assert not positive & due(world)
    assert {key: tuple(told(world)[key]) for key in positive} == before
