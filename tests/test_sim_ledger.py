"""A made-up chain: the same for the same seed, linked, and final where it says so."""

import pytest

from indexer import known
from indexer.dex import BY_NAME
from indexer.errors import ProofMismatch, UndecodableLog
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.shapes import bloom

ETHEREUM = known.chains()[0]
BUSY = Habits(history_blocks=2_000, history_pools=80, reorg_share=0.15, pools_a_tick=1.5, flaw_share=0.1)


def ledger(seed=7, habits=BUSY, chain=ETHEREUM):
    return Ledger(seed=seed, chain=chain, factories=known.factories(), quotes=known.quote_rank(), habits=habits)


def content(chain):
    return [entry.log for entry in chain.view().entries(0, chain.head.number)]


def test_the_same_seed_makes_the_same_chain_however_it_is_ticked_and_read():
    at_once, step_by_step, other = ledger(), ledger(), ledger(seed=8)
    at_once.advance_to(400)
    other.advance_to(400)
    for _ in range(400):
        step_by_step.advance()
        content(step_by_step)[-1:]
        step_by_step.view(3).block(step_by_step.head.number - 2)
    assert at_once.head.hash == step_by_step.head.hash != other.head.hash
    assert content(at_once) == content(step_by_step)
    assert at_once.view().finalized == step_by_step.view().finalized


def test_every_block_names_its_parent_and_is_found_by_its_hash():
    chain = ledger()
    chain.advance_to(200)
    view = chain.view()
    for number in [*range(1, 50), *range(chain.habits.history_blocks - 5, chain.head.number + 1)]:
        block, parent = view.block(number), view.block(number - 1)
        assert block.number == number
        assert block.parent_hash == parent.hash
        assert block.timestamp_s >= parent.timestamp_s
        assert chain.find(block.hash).hash == block.hash
    assert view.block(0).hash == ETHEREUM.genesis_hash
    assert chain.find(bytes(32)) is None
    assert view.block(chain.head.number + 1) is None


def test_no_fork_goes_below_what_was_final_and_some_go_deep():
    chain, depths, hashes, final = ledger(), set(), {}, 0
    for _ in range(1_500):
        before = chain.view()
        chain.advance()
        now = chain.view()
        assert now.finalized >= before.finalized
        for number in range(final + 1, before.finalized + 1):
            hashes[number] = before.block(number).hash
        final = before.finalized
        at = before.head.number
        while at > now.head.number or now.block(at).hash != before.block(at).hash:
            at -= 1
        depths.add(before.head.number - at)
        assert at >= before.finalized
    assert {0, 1, 2} < depths
    assert max(depths) > 5
    assert all(chain.view().block(number).hash == block_hash for number, block_hash in hashes.items())


def test_an_older_view_still_shows_the_branch_that_lost():
    chain = ledger()
    remembered = []
    for _ in range(300):
        chain.advance()
        remembered.append((chain.head.hash, [chain.canonical(n).hash for n in range(2_001, chain.head.number + 1)]))
    for ago in (0, 1, 7, 50, 200):
        view = chain.view(ago)
        head, hashes = remembered[-1 - ago]
        assert view.head.hash == head
        assert [view.block(n).hash for n in range(2_001, view.head.number + 1)] == hashes


def test_a_pool_that_a_fork_moved_keeps_its_key_and_its_tokens():
    chain = ledger()
    chain.advance_to(600)
    seen = {}
    for block in chain.orphans():
        for entry in chain.entries(block):
            if entry.kind == "pool":
                seen[entry.log.tx_hash] = entry
    again = [entry for entry in chain.view().entries(0, chain.head.number) if entry.log.tx_hash in seen]
    moved = [entry for entry in again if entry.kind == "pool"]
    assert len(moved) > 20
    assert len({entry.log.tx_hash for entry in moved}) < len(seen)  # some never came back
    for entry in moved:
        before = seen[entry.log.tx_hash]
        assert (entry.facts.key, entry.facts.token0, entry.facts.token1) == (
            before.facts.key,
            before.facts.token0,
            before.facts.token1,
        )
    assert any(entry.log.log_index != seen[entry.log.tx_hash].log.log_index for entry in moved)


def test_a_key_is_announced_once_on_a_branch_and_counts_have_no_gap():
    chain = ledger()
    chain.advance_to(800)
    keys, indexes = [], {}
    for entry in chain.view().entries(0, chain.head.number):
        if entry.kind != "pool":
            continue
        keys.append(entry.facts.key)
        if entry.facts.pool_index is not None:
            indexes.setdefault(entry.facts.emitter, []).append(entry.facts.pool_index)
    assert len(keys) == len(set(keys)) > 500
    assert indexes
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in indexes.values())


@pytest.mark.parametrize("chain", known.chains(), ids=lambda chain: chain.name)
def test_what_is_announced_is_what_the_decoders_read(chain):
    made = ledger(chain=chain, habits=Habits(history_blocks=5_000, history_pools=1_500, flaw_share=0.1))
    factories = {factory.address: factory for factory in made.factories}
    counted = {"pool": 0, "rejected": 0}
    held = set()
    for entry in made.view().entries(0, 5_000):
        log = entry.log
        factory = factories.get(log.address)
        if factory is None or log.topics[0] not in factory.topics:
            assert entry.kind == "noise"
            continue
        counted[entry.kind] += 1
        try:
            pool = BY_NAME[factory.protocol].decoders[log.topics[0]](log, factory)
        except (UndecodableLog, ProofMismatch):
            assert entry.kind == "rejected"
            continue
        if entry.kind == "rejected":
            assert pool.key in held  # announced a moment ago by another factory
            continue
        held.add(pool.key)
        facts = entry.facts
        assert all(getattr(pool, name) == getattr(facts, name) for name in SHARED_FACTS), facts.protocol
        assert (facts.emitter, facts.topic0) == (log.address, log.topics[0])
    assert counted["pool"] > 1_000
    assert counted["rejected"] > 50
    assert {entry.facts.protocol for entry in made.view().entries(0, 5_000) if entry.facts} == {
        factory.protocol for factory in made.factories
    }


SHARED_FACTS = (
    *("dex", "protocol", "key", "token0", "token1", "proof", "fee_ppm", "fee_kind", "tick_spacing", "bin_step"),
    *("stable", "hooks", "deployer", "pool_index"),
)


def test_every_enabled_factory_is_simulated():
    for chain in known.chains():
        enabled = {f.address for f in known.factories() if f.chain_id == chain.id and f.enabled}
        assert {factory.address for factory in ledger(chain=chain).factories} == enabled


def test_a_token_exists_from_the_block_that_made_it_and_only_on_that_branch():
    chain = ledger()
    chain.advance_to(300)
    view = chain.view()
    checked = 0
    for block in chain.orphans():
        for creation, _ in block.creations:
            token = creation.tokens[0]
            alive = view.contract(token.address, view.head)
            homes = [
                home.number
                for home in map(chain.canonical, range(2_001, chain.head.number + 1))
                for other, _ in home.creations
                if token in other.tokens
            ]
            assert (alive is not None) == bool(homes)
            if homes:
                checked += 1
                assert view.contract(token.address, view.block(homes[0])) is token
                assert view.contract(token.address, view.block(homes[0] - 1)) is None
    assert checked > 5


def test_nothing_is_mined_after_the_stop_and_everything_is_final():
    chain = ledger()
    chain.advance_to(100)
    chain.stop()
    head = chain.head
    chain.advance_to(200)
    assert chain.head is head
    assert chain.view().finalized == chain.view().safe == head.number


def test_a_bloom_holds_what_is_in_its_block():
    chain = ledger()
    logs = [entry.log for entry in chain.view().entries(0, 2_000)][:3]
    whole = int.from_bytes(bloom(logs), "big")
    for log in logs:
        one = int.from_bytes(bloom([log]), "big")
        assert one
        assert whole & one == one
