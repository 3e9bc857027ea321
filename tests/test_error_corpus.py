"""What providers were seen to say about a range, what it is read as, and which range is asked for next.

The table is the union of what five indexers match on; the numbers in it are filled in. The corpus beside the
checkout holds texts as they were recorded.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from indexer import known, store
from indexer.errors import (
    FilterTooLarge,
    GazetteerError,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RangeRefused,
    RateLimited,
    Retryable,
    TimedOut,
    TooManyBlocks,
    TooManyLogs,
)
from indexer.flow import history
from indexer.flow.ranges import Ranges
from indexer.model import Hash32, Header
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.recorded import Recorded
from indexer.store import Db, cursor, facts
from indexer.wire.classify import Asked, classify
from indexer.wire.node import HttpNode

GET_LOGS = "eth_getLogs"
ASKED = (5_000_000, 5_099_999)
HALF = 50_000
UNCHANGED = 100_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHAIN = known.chains()[0]
(FACTORY,) = [f for f in known.factories() if f.chain_id == CHAIN.id and f.dex == "uniswap_v2"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """An error, the range that it answers, its class, and how many blocks are asked for next."""

    said: str | None
    kind: type[GazetteerError]
    span: int
    code: int | None = None
    cap: int | None = None
    data: object = None
    asked: tuple[int, int] = ASKED
    whole: object = None

    @property
    def error(self) -> object:
        told = {"code": self.code, "message": self.said, "data": self.data}
        return self.whole or {name: value for name, value in told.items() if value is not None}


def blocks(said: str, cap: int, code: int | None = None, **other: Any) -> Row:
    """It names how many blocks it serves."""
    return Row(said=said, code=code, kind=TooManyBlocks, cap=cap, span=cap, **other)


def wide(said: str, code: int | None = None) -> Row:
    """Too many blocks, and no number: half of them are tried, and no more from then on."""
    return Row(said=said, code=code, kind=TooManyBlocks, cap=HALF, span=HALF)


def dense(said: str, span: int = HALF, code: int | None = None, **other: Any) -> Row:
    """Too many logs: it says what would work, or half is tried. The cap is not touched."""
    return Row(said=said, code=code, kind=TooManyLogs, span=span, **other)


def apart(kind: type[GazetteerError], said: str | None, code: int | None = None, **other: Any) -> Row:
    """The range is not to blame: the planner is not told."""
    return Row(said=said, code=code, kind=kind, span=UNCHANGED, **other)


TABLE = (
    # exact suggestions
    blocks(
        "You can make eth_getLogs requests with up to a 500 block range. Based on your parameters, this block range "
        "should work: [0x7e9b85, 0x7e9d78]",
        500,
        -32600,
        asked=(0x7E9B85, 0x7E9B85 + 9_999),
    ),
    dense("Log response size exceeded. this block range should work: [0x4c4b40, 0x4c4f27]", 1_000, -32602),
    dense("query returned more than 10000 results. Try with this block range [0x4c4b40, 0x4c4bf3].", 180, -32005),
    dense("Query returned more than 10000 results. Try with this block range [0x4c4b40,0x4c4b40].", 1, -32602),
    dense("query exceeds max results 20000, retry with the range 5000000-5000509", 510, -32602),
    # ... and those that are not to be obeyed
    dense("Try with this block range [0x4c4f27, 0x4c4b40].", code=-32005),  # inverted
    dense("this block range should work: [0x4c4b40, 0x4dd1df]"),  # the very range that it refused
    dense("query exceeds max results 20000, retry with the range 5000000-5099999", code=-32602),
    dense("query exceeds max results 20000, retry with the range 5000000-5200000"),  # larger
    dense("query exceeds max results 20000, retry with the range 4999999-5000009"),  # begins elsewhere
    blocks("eth_getLogs is limited to a 200,000 range", HALF, -32614),  # more than was asked
    # caps with a number
    blocks("eth_getLogs is limited to a 10,000 range", 10_000, -32614),
    blocks("eth_getLogs is limited to a 5 range, upgrade your plan", 5, -32614),
    blocks("eth_getLogs is limited to a 1000 blocks range", 1_000, -32000),
    blocks("eth_getLogs is limited to 1024 block range", 1_024),
    blocks("You can make eth_getLogs requests with up to a 10 block range.", 10, -32600),
    blocks("You can make eth_getLogs requests with up to a 2,000 block range.", 2_000, -32600),
    blocks("Max range: 800", 800),
    blocks("Maximum allowed number of requested blocks is 1000", 1_000),
    blocks("requested too many blocks from 1 to 3000, maximum is set to 2048", 2_048),
    blocks("block range too large (2000), maximum allowed is 1000 blocks", 1_000),
    blocks("exceeds the range allowed for your plan (5000 > 3000)", 3_000),
    blocks("please limit the query to at most 1000 blocks", 1_000),
    blocks("exceed maximum block range: 50000", 50_000),
    blocks("query exceeds max block range 50", 50),
    blocks("block range greater than 2,000 max", 2_000),
    blocks("block range exceeds 3000", 3_000),
    blocks("exceed max block range: 500", 500),
    blocks("maximum [from, to] blocks distance: 5000", 5_000),
    blocks("eth_getLogs range is too large, max is 10k blocks", 10_000),
    blocks("eth_getLogs range is too large, max is 1k blocks", 1_000),
    blocks("ranges over 10000 blocks are not supported on freetier", 10_000),
    blocks("range 1000000 exceeds limit of 10000", 10_000, -32602),
    blocks("eth_getLogs block range too large, range: 855077, max: 3500", 3_500, -32005),
    # caps without one
    wide("block range is too wide", -32600),
    wide("block range too large"),
    wide("Block range is too large"),
    wide("Block range limit exceeded."),
    # density
    dense("query returned more than 10000 results", code=-32005),
    dense("query exceeds max results 20000"),
    dense("more than 10000 logs"),
    dense("logs matched by query exceeds limit of 10000"),
    dense("response size should not greater than 10000000 bytes"),
    dense("backend response too large"),
    dense("Response is too big", code=-32008, data="Exceeded max limit of 167772160"),
    dense("query timeout exceeded", code=-32000),
    dense("Log response size exceeded. Please reduce query block range."),
    # the filter
    apart(FilterTooLarge, "exceed max addresses or topics per search position", -32602),
    apart(FilterTooLarge, "please specify less number of address"),
    apart(FilterTooLarge, "This query contains 5006 filters. The current limit is 5000."),
    # rates and bills
    apart(RateLimited, "Too many requests", -32005),
    apart(RateLimited, "Too many requests, block range 100000", 429),
    apart(RateLimited, "rate limit exceeded", -32000),
    apart(RateLimited, "Exceeded the quota usage", -32000),
    apart(RateLimited, "Monthly capacity limit exceeded.", 429),
    apart(RateLimited, "Your app has exceeded its compute units per second capacity.", 429),
    apart(RateLimited, "Please upgrade your tier", -32000),
    apart(RateLimited, "daily request limit reached", -32005),
    apart(RateLimited, "the server is under too much load", -32000),
    apart(RateLimited, None, -32005),
    apart(RateLimited, None, 429),
    # missing data
    apart(MissingData, "missing trie node e583a447 (path ) state 0xe583 is not available", -32000),
    apart(MissingData, "header not found", -32000),
    apart(MissingData, "unknown block", -32000),
    apart(MissingData, "block not found", -32000),
    apart(MissingData, "height is not available", -32000),
    apart(MissingData, "hash 0xabc is not currently canonical", -32000),
    apart(MissingData, "No state available for block 36600", -32002),
    apart(MissingData, "historical state 0xabc is not available", -32000),
    apart(MissingData, "cannot query unfinalized data", -32000),
    apart(MissingData, "requested to block is after last accepted block", -32000),
    apart(MissingData, "transaction not found", -32000),
    apart(MissingData, "block number is greater than latest", -32000),
    apart(MissingData, "requested data is not available", -32000),
    apart(MissingData, "pruned history unavailable", 4444),
    apart(MissingData, "something else", 4444),
    apart(MissingData, "block range extends beyond current head block", -32602),
    # off, at whatever size: halving would never end
    apart(MethodOff, "limit exceeded", -32005),
    apart(MethodOff, "the method eth_getLogs does not exist/is not available", -32601),
    apart(MethodOff, "not served here", -32601),
    # generic codes say nothing about sizes
    apart(NodeUnavailable, "something happened", -32000),
    apart(NodeUnavailable, "no backend is currently healthy to serve traffic", -32011),
    apart(NodeUnavailable, "Internal JSON-RPC error.", -32603),
)
IDS = [f"{number}-{(row.said or 'silent')[:40]}" for number, row in enumerate(TABLE)]


@dataclass(frozen=True)
class Outcome:
    """What one error came to: its class, and what the planner holds afterwards."""

    kind: type
    cap: int | None
    span: int


def planned(row: Row) -> Outcome:
    """Read the error and, where it is about the range, tell the planner, as the reader of history does."""
    first, last = row.asked
    ranges = Ranges(first_span=last - first + 1)
    read = classify(row.error, Asked(method=GET_LOGS, first=first, last=last))
    if isinstance(read, (TooManyBlocks, TooManyLogs)):
        smaller = ranges.refused(read, first, last)
        assert first < smaller == last - ranges.span() + 1 <= last
    return Outcome(type(read), ranges.cap, ranges.span())


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_an_error_is_read_by_its_text_and_the_next_range_follows_from_it(row):
    assert planned(row) == Outcome(row.kind, row.cap, row.span)


@pytest.mark.parametrize("row", [row for row in TABLE if issubclass(row.kind, RangeRefused) and row.span < HALF])
def test_a_suggestion_that_does_not_shrink_the_request_is_never_obeyed(row):
    """Asked for as little as it suggests, and for less: half of it is next, down to a single block."""
    first, _ = row.asked
    for size in (row.span, row.span // 2 + 1, 2):
        if size > 1 and row.kind in (TooManyBlocks, TooManyLogs):
            wanted = size // 2 if size <= row.span else row.span
            assert planned(replace(row, asked=(first, first + size - 1))).span == wanted


def test_a_method_that_is_off_is_named():
    for row in TABLE:
        if row.kind is MethodOff:
            for method in (GET_LOGS, "eth_getBlockByNumber"):
                read = classify(row.error, Asked(method=method))
                assert isinstance(read, MethodOff)
                assert method in str(read)
                assert (row.said or "") in str(read)


class Provider:
    """An endpoint without faults that answers its first eth_getLogs with this error. `asked`: the ranges it saw."""

    def __init__(self, row: Row) -> None:
        source = Recorded(
            chain=CHAIN, factories=[FACTORY], pools=[], tokens={}, head=row.asked[1], epoch_s=1_700_000_000
        )
        self.source = source
        self.asked: list[tuple[int, int]] = []
        self.filters: list[int] = []
        self._error = row.error
        self._send = in_process(Endpoint("provider", source))

    def __call__(self, body: bytes, timeout_s: float) -> bytes:
        replies = orjson.loads(self._send(body, timeout_s))
        for request, reply in zip(orjson.loads(body), replies, strict=True):
            if request["method"] == GET_LOGS:
                (wanted,) = request["params"]
                self.asked.append((int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)))
                self.filters.append(len(wanted["address"]) * len(wanted["topics"][0]))
                if len(self.asked) == 1:
                    del reply["result"]
                    reply["error"] = self._error
        return orjson.dumps(replies)


@pytest.fixture
def scanned(db: Db) -> Callable[[Row, Callable[[bytes, float], bytes], Ranges], object]:
    """Scan the newest range of a fresh history through this transport: what came of it, or what was raised."""

    def scan(row: Row, provider: Callable[[bytes, float], bytes], ranges: Ranges) -> object:
        first, last = row.asked
        both = [replace(FACTORY, from_block=first), replace(OTHER, from_block=first)]
        end = Header(number=last, hash=_hash_of(row), parent_hash=Hash32(bytes(32)), timestamp_s=1)
        with store.begin(db) as tx:
            facts.load(tx, [CHAIN], both)
            tx.execute(text("delete from gazetteer.checkpoints"))
            tx.execute(text("delete from gazetteer.cursors"))
            cursor.start(tx, CHAIN.id, end, NOW)
            tx.execute(text("update gazetteer.factories set from_block = :first"), {"first": first})
            tx.execute(text("update gazetteer.coverage set scanned = '{}'"))
        try:
            done: object = history.scan(db, HttpNode("provider", provider), CHAIN, ranges, lambda _: NOW, lease_s=60)
        except (Retryable, RangeRefused) as error:
            done = error
        with store.begin(db) as tx:
            assert tx.execute(text("select count(*) from gazetteer.scans")).scalar_one() == 0, "a lease is left"
        return done

    return scan


(OTHER,) = [f for f in known.factories() if f.chain_id == CHAIN.id and f.dex == "uniswap_v3"]


def _hash_of(row: Row) -> Hash32:
    return Provider(row).source.canonical(row.asked[1]).hash


def test_history_asks_next_for_what_the_table_says(scanned):
    wrong = [(row.said, found) for row in TABLE if (found := _asked_next(scanned, row)) != _wanted(row)]
    assert wrong == []


def _asked_next(scanned, row: Row) -> tuple[type, int, int | None]:
    """The class raised or that a range was done, how many blocks were asked for last, and the planner's cap."""
    provider, (first, last) = Provider(row), row.asked
    ranges = Ranges(first_span=last - first + 1)
    done = scanned(row, provider, ranges)
    assert provider.asked[0] == row.asked
    assert all(end == last for _, end in provider.asked), "the range did not shrink towards its end"
    if isinstance(done, GazetteerError):
        assert ranges.span() == last - first + 1, "the planner was told"
    return type(done), last - provider.asked[-1][0] + 1, ranges.cap


def _wanted(row: Row) -> tuple[type, int, int | None]:
    """Sizes are answered by a smaller range, wide filters by narrower ones; all else is for another endpoint."""
    settled = row.kind if issubclass(row.kind, Retryable) else history.Scanned
    return settled, row.span, row.cap


def test_a_filter_that_is_too_wide_is_split_and_the_range_stays(scanned):
    (row, *_) = [row for row in TABLE if row.kind is FilterTooLarge]
    provider = Provider(row)
    assert isinstance(scanned(row, provider, Ranges(first_span=UNCHANGED)), history.Scanned)
    assert set(provider.asked) == {ASKED}
    assert provider.filters[0] == 2 * 2
    assert set(provider.filters[1:]) == {2}


@pytest.mark.parametrize("fault", ["rate_limited", "server_error", "cut"])
def test_a_refusal_in_http_leaves_the_range_as_it_was(scanned, fault):
    row = apart(RateLimited if fault == "rate_limited" else NodeUnavailable, None)
    ranges = Ranges(first_span=UNCHANGED)
    send = in_process(Endpoint("provider", Provider(row).source, faults=[Fault(name=fault)]))
    assert isinstance(scanned(row, send, ranges), row.kind)
    assert (ranges.span(), ranges.cap) == (UNCHANGED, None)


@pytest.mark.parametrize("fault", [Fault(name="too_large"), TimedOut("no answer within 20 s")])
def test_an_answer_that_is_too_large_or_never_comes_halves_the_range(scanned, fault):
    """HTTP 413, and a question of logs that hangs while the endpoint answers others."""
    row, ranges = dense("unused"), Ranges(first_span=UNCHANGED)
    source = Provider(row).source
    whole = in_process(Endpoint("provider", source))
    struck = in_process(Endpoint("provider", source, faults=[fault] if isinstance(fault, Fault) else []))
    asked: list[bytes] = []

    def send(body: bytes, timeout_s: float) -> bytes:
        first_logs = GET_LOGS.encode() in body and not asked
        if not first_logs:
            return whole(body, timeout_s)
        asked.append(body)
        if isinstance(fault, TimedOut):
            raise fault
        return struck(body, timeout_s)

    done = scanned(row, send, ranges)
    assert isinstance(done, history.Scanned)
    assert done.last - done.first + 1 == HALF
    assert ranges.cap is None


KINDS: dict[str, type[GazetteerError]] = {
    "range_limit": TooManyBlocks,
    "result_limit": TooManyLogs,
    "response_size": TooManyLogs,
    "address_limit": FilterTooLarge,
    "rate_limit": RateLimited,
    "quota_exhausted": RateLimited,
    "method_disabled": MethodOff,
    "auth": NodeUnavailable,
    "missing_state": MissingData,
    "pruned": MissingData,
    "node_bug": MissingData,
    "not_found": MissingData,
    "future_block": MissingData,
    "server_error": NodeUnavailable,
    "server_overloaded": NodeUnavailable,
    "malformed_error": NodeUnavailable,
}
SILENT = {"silent_empty": 2, "silent_partial": 1, "hang": 1}
"""Nothing is said there, so nothing is read: the audit's and the timeout's business."""


def recorded(row: dict[str, Any]) -> Row:
    """A row of the corpus, with the range that it answers and what its own note says should follow."""
    kind, said, told = KINDS[row["meaning"]], row["message"], str(row["suggested_range"] or "")
    more = {"code": row["code"], "data": row["data"]}
    if row["meaning"] == "malformed_error":
        return apart(kind, said, whole=said, **more)
    if kind not in (TooManyBlocks, TooManyLogs):
        return apart(kind, said, **more)
    if suggestion := re.search(r"\[(0x\w+), (0x\w+)\]|range (\d+)-(\d+)", said):
        first, last = (int(number, 0) for number in suggestion.groups() if number)
        asked = (first, last if "THE SAME" in told else first + 99_999)
        span = last - first + 1 if asked[1] != last else (last - first + 1) // 2
        return Row(said=said, kind=kind, span=span, cap=span if kind is TooManyBlocks else None, asked=asked, **more)
    number = re.match(r"([\d,]+)(k?)", told)
    if number is None or kind is TooManyLogs:
        return Row(said=said, kind=kind, span=HALF, cap=HALF if kind is TooManyBlocks else None, **more)
    cap = int(number.group(1).replace(",", "")) * (1000 if number.group(2) else 1)
    return Row(said=said, kind=kind, span=cap, cap=cap, **more)


@pytest.mark.shared
def test_every_error_of_the_corpus_leads_to_its_next_range(shared: Path, scanned, capsys):
    rows = json.loads((shared / "data" / "rpc-errors" / "rpc_errors.json").read_text(encoding="utf-8"))
    silent = [row for row in rows if row["meaning"] in SILENT]
    assert all(row["message"] is None for row in silent)
    assert len(silent) == sum(SILENT.values())
    table = [recorded(row) for row in rows if row["meaning"] not in SILENT]
    wrong = [(row.said, found) for row in table if (found := planned(row)) != Outcome(row.kind, row.cap, row.span)]
    assert wrong == []
    wrong = [(row.said, found) for row in table if (found := _asked_next(scanned, row)) != _wanted(row)]
    assert wrong == []
    with capsys.disabled():
        print(f"\n{len(table)} errors of the corpus lead to their next range; {len(silent)} say nothing")  # noqa: T201
    assert len(table) == 63
