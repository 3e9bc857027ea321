"""`gazetteer status` and `why`: the whole state in 80 columns, and one sentence for each thing a chain can wait for."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from indexer import known, store
from indexer.errors import Refused
from indexer.store import coverage, cursor, facts, health, migrate
from indexer.store.clock import database_time
from indexer.wire.endpoints import _CALLED
from tests.commands import run, settled
from tests.lab import register as made
from workers import audits
from workers.audits import Audits
from workers.cli.look import LABEL, WIDTH
from workers.local import data
from workers.local.postgres import Postgres
from workers.why import Facts, why

AT_HEAD = {"seen_age_s": 1.0, "lag_blocks": 0, "finalized_age_s": 5.0, "usual_depth_s": 780.0, "missing_blocks": 0}


@pytest.fixture
def url(postgres_url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=postgres_url):
        yield postgres_url


@pytest.fixture
def filled(db, url):
    with store.begin(db) as tx:
        made.begin(tx)
        made.scanned(tx, 500, 900, [made.created(1, 600), made.created(2, 700)])
        made.sight(tx, head=1_004, safe=1_002, finalized=1_001, now=datetime.now(UTC))
    return url


@pytest.mark.usefixtures("filled")
def test_status_says_where_a_chain_stands():
    result = run("status")
    assert result.exit_code == 0, result.output
    told = {row[:LABEL].strip(): row[LABEL:].strip() for row in result.stdout.splitlines() if row[LABEL:].strip()}
    assert told["head"] == "1,004"
    assert told["tip"] == told["anchor"] == "1,000"
    assert told["lag"] == "4 blocks"
    assert told["finalized"] == "1,001"
    assert told["history"] == "44.50 %"
    assert told["missing blocks"] == "500"
    assert told["pools"] == "2"
    assert told["tokens pending"] == "3"
    assert told["endpoint"] == "made"
    assert told["wake-ups"] == "polling"
    assert told["ready"] == "no"


@pytest.mark.usefixtures("filled")
def test_json_says_the_same_as_one_object():
    (chain,) = json.loads(run("status", "--json").stdout)["chains"]
    assert (chain["chain"], chain["head"], chain["tip"], chain["lag_blocks"]) == ("ethereum", 1_004, 1_000, 4)
    assert (chain["pools"], chain["tokens_pending"], chain["dead"], chain["ready"]) == (2, 3, 0, False)
    assert (chain["blocks_to_read"], chain["holes"], chain["percent"]) == (500, 2, 44.5061)


@pytest.mark.usefixtures("url")
def test_six_chains_with_the_largest_numbers_fit_80_columns(db):
    from dataclasses import replace  # noqa: PLC0415

    chains = [replace(made.ETHEREUM, id=number, name=f"a_chain_named_{number}") for number in range(1, 7)]
    with store.begin(db) as tx:
        facts.load(tx, chains, [])
        for chain in chains:
            cursor.start(tx, chain.id, made.header(1_000), made.NOW)
    lines = run("status").stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [word for row in lines for word in row.split() if word.startswith("a_chain")] == [
        chain.name for chain in chains
    ]


@pytest.mark.usefixtures("filled")
def test_an_endpoints_name_cannot_act_on_the_terminal(db):
    with store.begin(db) as tx:
        heads = made.Heads(latest=made.header(1_004), safe=None, finalized=None)
        cursor.sight(
            tx, made.ETHEREUM.id, heads=heads, endpoint="a\x1b[2J", wakeups="polling", note="b\x1b]0;x", now=made.NOW
        )
    assert "\x1b" not in run("status").stdout + run("status", "--json").stdout + run("why").stdout


def test_without_a_register_that_is_said_with_the_remedy(monkeypatch, tmp_path):
    with settled(monkeypatch):
        for command in (["status"], ["why"], ["sql", "select 1"], ["tail"], ["work", "list"], ["backfill", "--dry"]):
            result = run(*command, "--data-dir", str(tmp_path / "nowhere"))
            assert isinstance(result.exception, Refused), command
            assert "there is no register" in str(result.exception)
            assert "gazetteer demo" in str(result.exception)


def test_a_database_that_was_never_migrated_is_said_with_the_command_to_run(empty_postgres_url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=empty_postgres_url):
        for command in ("status", "why", "backfill"):
            assert "gazetteer migrate" in str(run(command).exception)


@pytest.fixture
def stopped(server_root, monkeypatch):
    """The data directory of an embedded register that ran and was stopped."""
    base = server_root / "stopped"
    register = data.Register(base / data.REGISTER)
    register.make()
    server = Postgres(register.postgres, durable=False)
    server.start()
    migrate.upgrade(server.url())
    db = store.connect(server.url(), name="test")
    with store.begin(db) as tx:
        made.begin(tx)
        made.scanned(tx, 100, 900, [made.created(1, 200)])
    db.dispose()
    register.let_reader_in(server)
    register.note(
        data.Run(
            command="up",
            pid=1,
            started_at_s=1.0,
            embedded=True,
            database_url=server.url(),
            reader_url=register.reader_url(server),
            broker_url="unix:///nowhere.sock?db=0",
            flower_url="http://127.0.0.1:5555",
        )
    )
    server.stop()
    with settled(monkeypatch):
        yield base, server


def test_a_stopped_register_is_asked_and_stopped_again(stopped):
    base, server = stopped
    result = run("status", "--data-dir", str(base))
    assert result.exit_code == 0, result.exception
    assert "stopped  nothing follows; start it again: gazetteer up" in result.stdout
    assert "postgresql://analyst:" in result.stdout
    assert "Flower" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80 or str(base) in result.stdout
    assert not server.is_up
    assert run("sql", "select current_user::text", "--format", "csv", "--data-dir", str(base)).stdout.split() == [
        "current_user",
        "analyst",
    ]
    refused = run("sql", "select count(*) from gazetteer.pools", "--data-dir", str(base))
    assert refused.exit_code == 1
    assert "permission denied" in refused.stderr
    assert not server.is_up


@pytest.mark.usefixtures("filled")
def test_why_reads_the_register():
    result = run("why")
    assert result.stdout.splitlines() == [
        "ethereum is 4 blocks behind its head and catches up.",
        "  Audited: 0.00 % of the history that was read, through other endpoints.",
    ]


def audited(db, *counts, blocks=(500, 699)):
    """What audits wrote at these moments: (seconds ago, endpoint, what, times)."""
    with store.begin(db) as tx:
        coverage.confirm(tx, made.ETHEREUM.id, [made.EMITTER.key], [blocks])
        now = database_time(tx)
        for ago_s, endpoint, what, times in counts:
            health.add(tx, made.ETHEREUM.id, {(endpoint, what): times}, now - timedelta(seconds=ago_s))


LIED = [
    (7_300, "archive.one.example", "omitted_logs", 12),
    (7_300, "b.example", "upheld_blocks", 9),
    (7_300, "a-very-long-name.of-an-endpoint.example", "upheld_blocks", 9),
    (90_000, "b.example", "wrong_hashes", 1),
    (10, "b.example", "rate_limited", 1_234),
    (10, "b.example", "lagged", 1),
    (10, "b.example", "answers", 1_000_000),
    (10, "c.example", "timed_out", 2),
    (10, "d.example", "answers", 5),
]


@pytest.mark.usefixtures("filled")
def test_why_says_what_audits_found_and_how_each_endpoint_behaves(db):
    audited(db, *LIED)
    lines = run("why").stdout.splitlines()
    assert max(map(len, lines)) < 80
    told = " ".join(line.strip() for line in lines)
    assert "Audited: 49.87 % of the history that was read, through other endpoints." in told, "200 of 401 blocks"
    assert (
        "The last difference was found 2 hours ago: archive.one.example omitted logs; "
        "a-very-long-name.of-an-endpoint.example and b.example told it rightly."
    ) in told
    assert (
        "archive.one.example omitted 12 logs. b.example showed 1 log under a false block hash, lagged once, "
        "limited the rate 1,234 times and answered 1,000,000 times. c.example timed out 2 times."
    ) in told
    assert "d.example" not in told, "there is nothing to say of it"


@pytest.mark.usefixtures("filled")
def test_status_says_how_much_is_audited_and_calls_out_who_lied_lagged_or_refused(db):
    result = run("status").stdout
    told = {row[:LABEL].strip(): row[LABEL:].strip() for row in result.splitlines() if row[LABEL:].strip()}
    assert (told["audited"], told["last difference"]) == ("0.00 %", "none")
    audited(db, *LIED)
    lines = run("status").stdout.splitlines()
    told = {row[:LABEL].strip(): row[LABEL:].strip() for row in lines if row[LABEL:].strip()}
    assert (told["audited"], told["last difference"]) == ("49.87 %", "2 hours ago")
    assert max(map(len, lines)) < 80
    assert (
        "ethereum lied: archive.one.example, b.example; lagged: b.example; refused: b.example; failed: c.example"
    ) in " ".join(line.strip() for line in lines)
    (chain,) = json.loads(run("status", "--json").stdout)["chains"]
    assert chain["audited_percent"] == 49.87
    (count,) = [each for each in chain["endpoints"] if each["endpoint"] == "c.example"]
    assert (count["what"], count["times"]) == ("timed_out", 2)


NOW = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ({"scanned": 0, "audited": 0}, ["Audited: nothing, as none of its history is read yet."]),
        (
            {"scanned": 5, "audited": 0, "endpoints": 1},
            ["Audited: nothing; that takes a second endpoint that may be spent on history."],
        ),
        (
            {"scanned": 3, "audited": 2},
            [
                "Audited: 66.66 % of the history that was read, through other endpoints.",
                "No audit has found a difference.",
            ],
        ),
        (
            {"scanned": 10**9, "audited": 10**9 - 1},
            [
                "Audited: 99.99 % of the history that was read, through other endpoints.",
                "No audit has found a difference.",
            ],
        ),
    ],
)
def test_how_much_is_audited_is_never_said_too_high(of, told):
    assert audits.sentences(Audits(**{"chain": "ethereum", "endpoints": 3, "counts": (), "now": NOW} | of)) == told


def test_every_thing_that_is_counted_has_its_words_and_many_endpoints_do_not_flood_the_screen():
    counts = [
        health.Count(endpoint=f"{number}.example", what=what, times=2, last_at=NOW)
        for number, what in enumerate(audits._ALL)
    ]
    of = Audits(chain="x", scanned=1, audited=1, endpoints=9, counts=counts, now=NOW)
    lines = audits.sentences(of)
    assert lines[-1] == f"{len(counts) - audits.MOST_ENDPOINTS} more are in api.endpoint_health."
    for name, what in _CALLED:
        assert what in audits._ALL, f"{name} has no words"


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (
            {**AT_HEAD, "halted": "every endpoint forked below our anchor; run: gazetteer status", "note": "x"},
            "ethereum is halted and waits for you: every endpoint forked below our anchor; run: gazetteer status.",
        ),
        (
            {"followed": False},
            "ethereum was never followed: run `gazetteer up` or `gazetteer follow ethereum`.",
        ),
        ({}, "ethereum waits for a first answer: no endpoint has told its follower a head yet."),
        (
            {**AT_HEAD, "seen_age_s": 7_300.0, "note": "old"},
            "ethereum was last followed 2 hours ago: run `gazetteer up` or `gazetteer follow ethereum`.",
        ),
        (
            {**AT_HEAD, "note": "no endpoint can be asked: a.example: rests for 3 s (connection refused)"},
            "ethereum waits for an endpoint: no endpoint can be asked: a.example: rests for 3 s (connection refused).",
        ),
        ({**AT_HEAD, "lag_blocks": 1}, "ethereum is 1 block behind its head and catches up."),
        (
            {**AT_HEAD, "finalized_age_s": 2_400.0},
            (
                "ethereum is at the head, but its finality has not moved for 40 minutes: "
                "new pools are kept and wait to become final."
            ),
        ),
        (
            {**AT_HEAD, "missing_blocks": 12_345, "holes": 2, "waits_for_consent": True},
            (
                "ethereum is at the head; 12,345 blocks of history in 2 holes wait for your consent to spend a keyed "
                "endpoint: run `gazetteer backfill --chains ethereum --yes`."
            ),
        ),
        (
            {**AT_HEAD, "missing_blocks": 10, "holes": 1, "history_off": True},
            "ethereum is at the head; 10 blocks of history in 1 hole are not read, as the setting history is none.",
        ),
        (
            {**AT_HEAD, "missing_blocks": 1, "holes": 1},
            "ethereum is at the head and reads its history: 1 block of history in 1 hole left.",
        ),
        ({**AT_HEAD, "tokens_pending": 1}, "ethereum is at the head, and 1 token waits to be asked."),
        (AT_HEAD, "ethereum is at the head and waits for nothing but the next block."),
        (
            {**AT_HEAD, "finalized_age_s": 2_000.0},
            "ethereum is at the head and waits for nothing but the next block.",
        ),
    ],
)
def test_each_thing_that_a_chain_can_wait_for_has_its_sentence(of, sentence):
    told = why(Facts(chain="ethereum", **of))
    assert told == sentence
    assert "\n" not in told


def test_every_known_chain_tells_finality_apart_from_its_usual_depth():
    for chain in known.chains():
        usual_s = chain.finality_depth * chain.block_time_s
        quiet = Facts(chain=chain.name, **AT_HEAD | {"usual_depth_s": usual_s, "finalized_age_s": usual_s * 1.5})
        assert "finality" not in why(quiet), chain.name
