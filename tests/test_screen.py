"""The screen fits 80 x 24, whatever tokens call themselves. `REGOLD=1` writes the golden screens anew."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.cells import cell_len

from indexer.model import ChainId
from indexer.store.status import ChainLive, ChainTotals, NewPool
from workers.local.screen import HEIGHT, WIDTH, Snapshot, age, clean, fee, fit, progress, render, span
from workers.local.watching import Pace

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TOKEN0, TOKEN1 = "0x" + "ab" * 20, "0x" + "cd" * 20

CHAIN = ChainLive(
    chain="ethereum",
    chain_id=ChainId(1),
    ready=True,
    head=2_031,
    tip=2_031,
    safe=2_015,
    finalized=1_999,
    anchor=1_999,
    lag_blocks=0,
    lag_s=0.0,
    emitters=9,
    emitters_listened=9,
    endpoint="sim",
    wakeups="websocket",
    note=None,
    halted=None,
    seen_at=NOW,
    seen_age_s=0.4,
    wanted_blocks=20_000,
    missing_blocks=7_421,
    percent=62.895,
    pools_last_minute=84,
)
POLYGON = replace(
    CHAIN, chain="polygon", chain_id=ChainId(137), head=75_002_118, lag_blocks=1, missing_blocks=0, percent=100.0
)
SILENT = replace(
    CHAIN,
    chain="arbitrum",
    chain_id=ChainId(42161),
    head=None,
    lag_blocks=None,
    percent=None,
    missing_blocks=None,
    note="no endpoint can be asked: arb.example: NodeUnavailable: connection refused, for the seventeenth time now",
    pools_last_minute=0,
)
TOTALS = ChainTotals(
    chain="ethereum",
    chain_id=ChainId(1),
    pools=1_234,
    orphaned=4,
    tokens=2_345,
    tokens_pending=11,
    pools_pending=1,
    dead=0,
)


def pool(
    pair: str | None, *, dex: str = "uniswap_v3", ppm: int | None = 3_000, kind: str = "fixed", old_s: int = 7
) -> NewPool:
    return NewPool(
        chain="ethereum",
        dex=dex,
        pair=pair,
        token0_address=TOKEN0,
        token1_address=TOKEN1,
        fee_ppm=ppm,
        fee_kind=kind,
        pool_id="0x" + "ef" * 20,
        status="seen",
        created_at=NOW - timedelta(seconds=old_s),
    )


def shot(newest: Sequence[NewPool]) -> Snapshot:
    return Snapshot(
        title="gazetteer demo   simulated chains",
        now=NOW,
        running_s=42.0,
        chains=(CHAIN, POLYGON, SILENT),
        totals=(TOTALS,),
        newest=newest,
        eta_s={"ethereum": 40.2, "arbitrum": None},
        flower_url="http://127.0.0.1:5555",
        restarts=1,
    )


USUAL = [
    pool("PEPE-WETH", old_s=0),
    pool("WETH-USDC", ppm=500, old_s=3),
    pool(None, ppm=None, kind="unknown", old_s=59),
    pool("MOON-WETH", dex="quickswap_v3", ppm=None, kind="dynamic", old_s=3_601),
    pool("ARB-USDC", dex="uniswap_v2", ppm=100, old_s=90_000),
    *[pool(f"TKN{number}-WETH", dex="a_factory_with_a_very_long_name", old_s=200) for number in range(30)],
]
HOSTILE = [
    pool("漢字漢字漢字漢字漢字漢字漢字漢字-WETH"),
    pool("漢" * 13 + "-字"),
    pool("🚀🌕🐶-💎🙌"),
    pool("S" * 5_000 + "-WETH"),
    pool("a\x1b[31mred\x07\r\nTWO\tLINES-WETH"),
    pool("\u202egnp.exe\u202c-\u200b\u200bUSDC\ufeff"),
    pool("Z" + "\u0335\u0321\u031b" * 40 + "A-WETH"),
    pool("-"),
    pool(""),
    pool(None, dex="", ppm=1, kind="mutable"),
    pool("👨‍👩‍👧‍👦-ﷺ﷽"),
    replace(pool("NOTIME-WETH"), created_at=None, chain="a_chain_with_a_long_name"),
]


def golden(name: str, lines: Sequence[str]) -> None:
    path = GOLDEN / name
    text = "\n".join(lines) + "\n"
    if os.environ.get("REGOLD"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def texts(of: Snapshot, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    return [line.text for line in render(of, width, height)]


@pytest.mark.parametrize(
    ("name", "newest"), [("screen.txt", USUAL), ("screen_hostile.txt", HOSTILE), ("screen_empty.txt", [])]
)
def test_the_screen_is_the_golden_one_and_fits(name: str, newest: list[NewPool]) -> None:
    lines = texts(shot(newest))
    golden(name, lines)
    assert len(lines) == HEIGHT
    assert max(map(cell_len, lines)) <= WIDTH


@given(some.lists(some.text(max_size=60), max_size=30), some.integers(1, 200), some.integers(1, 60))
def test_no_symbol_makes_a_line_wider_than_the_terminal(symbols: list[str], width: int, height: int) -> None:
    lines = texts(shot([pool(symbol) for symbol in symbols]), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width and "\n" not in line and "\x1b" not in line for line in lines)


@given(some.text(), some.integers(0, 90))
def test_a_fitted_text_has_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_a_wider_terminal_gives_its_room_to_the_pair() -> None:
    pair = "A" * 20 + "-" + "B" * 20
    assert pair not in texts(shot([pool(pair)]))[9]
    assert any(pair in line for line in texts(shot([pool(pair)]), 120, 40))


def test_a_halted_chain_and_a_silent_one_say_why() -> None:
    halted = replace(CHAIN, halted="every endpoint forked below our anchor")
    silent = replace(POLYGON, seen_age_s=75.0, note="a: connection refused")
    lines = texts(replace(shot([]), chains=(halted, silent)))
    assert " ethereum: halted: every endpoint forked below our anchor" in lines
    assert " polygon: no endpoint has answered for 1:15: a: connection refused" in lines


def test_control_characters_never_reach_the_terminal() -> None:
    assert clean("a\x1b[31m\x07b\u202ec\r\nd\u200b") == "a[31mbc  d"


def test_a_hundred_percent_is_said_only_where_nothing_is_missing() -> None:
    nearly = replace(CHAIN, percent=99.9999, missing_blocks=1)
    assert "99.99 %" in progress(replace(shot([]), chains=(nearly,)))
    assert "history 100 % eta done" in progress(replace(shot([]), chains=(POLYGON,)))


def test_progress_is_one_line() -> None:
    line = progress(shot(HOSTILE))
    assert line.startswith("[0:42] ethereum head 2,031 lag 0 blocks 84/min history 62.89 % eta 0:40 | polygon")
    assert "\n" not in line
    assert "1,234 pools   2,345 tokens   12 waiting" in line


@pytest.mark.parametrize(
    ("ppm", "kind", "said"),
    [
        (3_000, "fixed", "0.3 %"),
        (500, "fixed", "0.05 %"),
        (1, "fixed", "0.0001 %"),
        (None, "dynamic", "dynamic"),
        (None, "unknown", "-"),
        (0, "fixed", "0 %"),
    ],
)
def test_a_fee_is_a_percentage_or_its_kind(ppm: int | None, kind: str, said: str) -> None:
    assert fee(ppm, kind) == said


def test_times_are_short() -> None:
    assert [span(each) for each in (7, 760, 10_800, 12 * 86_400)] == ["0:07", "12:40", "3:00:00", "12 d"]
    assert [age(NOW - timedelta(seconds=each), NOW) for each in (-5, 59, 720, 10_800, 86_400)] == [
        "0s",
        "59s",
        "12m",
        "3h",
        "1d",
    ]
    assert age(None, NOW) == ""


def test_the_pace_of_history_tells_when_it_ends() -> None:
    pace = Pace()
    assert pace.eta_s("a", 1_000, 0.0) is None
    assert pace.eta_s("a", 900, 10.0) == 90.0
    assert pace.eta_s("a", 900, 45.0) is None  # nothing happened for the whole window
    assert pace.eta_s("a", 0, 46.0) == 0.0
    assert pace.eta_s("b", None, 0.0) is None
