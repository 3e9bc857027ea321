"""What the terminal shows: a snapshot in, lines that fit out, whatever symbols tokens give themselves."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from indexer.store.status import ChainLive, ChainTotals, Listed, NewPool

WIDTH, HEIGHT = 80, 24
STALE_S = 30.0
MOST_NOTES = 3
LONGEST_TROUBLE = 90
"""In a line that tells of every chain."""
SHORT_ADDRESS = (6, 4)
LONGEST_TEXT = 200
"""Characters of a symbol that are looked at; more than any column shows."""
PPM_A_PERCENT = 10_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_MARKS_AND_CONTROLS = ("C", "M", "Zl", "Zp")


class Line(NamedTuple):
    """One line, no wider than the terminal, and rich's name of its style."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """`width` in cells; `right`: numbers end at the same place."""

    title: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything on the screen. `eta_s` by chain name: seconds until history is read, None where nobody can tell.

    `endpoints` by chain name: whom it asks, as it may be shown.
    """

    title: str
    now: datetime
    running_s: float
    chains: Sequence[ChainLive] = ()
    totals: Sequence[ChainTotals] = ()
    newest: Sequence[NewPool] = ()
    eta_s: Mapping[str, float | None]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    listed: Listed | None = None
    doing: str | None = None
    flower_url: str | None = None
    restarts: int = 0


CHAINS = (
    Column("CHAIN", 12),
    Column("HEAD", 13, right=True),
    Column("LAG", 12, right=True),
    Column("POOLS/MIN", 10, right=True),
    Column("HISTORY", 10, right=True),
    Column("ETA", 9, right=True),
)
POOLS = (
    Column("CHAIN", 10),
    Column("DEX", 20),
    Column("PAIR", 27),
    Column("FEE", 9, right=True),
    Column("AGE", 5, right=True),
)
PAIR = 2
"""The column that takes what a wider terminal has more."""


def render(shot: Snapshot, width: int = WIDTH, height: int = HEIGHT) -> list[Line]:
    """At most `height` lines of at most `width` cells."""
    top = [Line(_between(shot.title, _running(shot), width), "bold"), Line("")]
    top += _table(CHAINS, [_chain(each, shot) for each in shot.chains], width)
    notes = [f"{each.chain}: {trouble}" for each in shot.chains if (trouble := _trouble(each, shot))]
    top += [Line(fit(f" {note}", width).rstrip(), "yellow") for note in notes[:MOST_NOTES]]
    counts = [_counts(shot), *([] if shot.listed is None else [_listed(shot.listed)])]
    bottom = [Line(""), *(Line(fit(each, width).rstrip()) for each in counts), Line(_footer(shot, width), "dim")]
    columns = _widened(POOLS, PAIR, width)
    room = max(height - len(top) - len(bottom) - 2, 0)  # a blank line and the titles
    pools = [_pool(each, shot.now) for each in shot.newest[:room]]
    middle = [Line(""), *_table(columns, pools or [("waiting for the first pool",)], width)]
    filler = [Line("")] * max(height - len(top) - len(middle) - len(bottom), 0)
    return [*top, *middle, *filler, *bottom][:height]


def progress(shot: Snapshot) -> str:
    """The same in one line, for a log or a pipe."""
    parts = [
        f"{each.chain} head {_number(each.head)} lag {_lag(each)} {each.pools_last_minute}/min "
        f"history {_percent(each)} eta {_eta(each, shot)}"
        + (f" ({fit(trouble, LONGEST_TROUBLE).rstrip()})" if (trouble := _trouble(each, shot)) else "")
        for each in shot.chains
    ]
    counts = [_counts(shot).strip(), *([] if shot.listed is None else [_listed(shot.listed).strip()])]
    return f"[{span(shot.running_s)}] " + " | ".join([*parts, *counts])


def clean(text: str) -> str:
    """Text of strangers as one line without controls, direction marks and stacked accents."""
    kept = (
        " " if each.isspace() else each
        for each in text[:LONGEST_TEXT]
        if each.isspace() or not unicodedata.category(each).startswith(_MARKS_AND_CONTROLS)
    )
    return "".join(kept)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells; what does not fit ends in an ellipsis."""
    text = clean(text)
    if cell_len(text) > width:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width) if width else ""
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank


def span(seconds: float) -> str:
    """A time that passes: 0:07, 12:40, 3:00:00, 12 d."""
    whole = max(int(seconds), 0)
    if whole >= 2 * _DAY_S:
        return f"{whole // _DAY_S} d"
    hours, rest = divmod(whole, _HOUR_S)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def age(since: datetime | None, now: datetime) -> str:
    """How old: 7s, 12m, 3h, 40d; nothing where it is not known."""
    if since is None:
        return ""
    seconds = max(int((now - since).total_seconds()), 0)
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("m", _MINUTE_S)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def fee(ppm: int | None, kind: str) -> str:
    """A fee in percent; its kind where it has no number."""
    if ppm is None:
        return "dynamic" if kind == "dynamic" else "-"
    return f"{ppm / PPM_A_PERCENT:g} %"


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    titles = _row(columns, [column.title for column in columns], width)
    return [Line(titles, "dim"), *(Line(_row(columns, row, width)) for row in rows)]


def _row(columns: Sequence[Column], cells: Sequence[str], width: int) -> str:
    if len(cells) == 1:
        return fit(f" {cells[0]}", width).rstrip()
    parts = [fit(cell, column.width, right=column.right) for column, cell in zip(columns, cells, strict=True)]
    return fit(" " + "  ".join(parts), width).rstrip()


def _widened(columns: tuple[Column, ...], at: int, width: int) -> tuple[Column, ...]:
    more = max(width - WIDTH, 0)
    return (*columns[:at], columns[at]._replace(width=columns[at].width + more), *columns[at + 1 :])


def _chain(chain: ChainLive, shot: Snapshot) -> tuple[str, ...]:
    return (
        chain.chain,
        _number(chain.head),
        _lag(chain),
        str(chain.pools_last_minute),
        _percent(chain),
        _eta(chain, shot),
    )


def _pool(pool: NewPool, now: datetime) -> tuple[str, ...]:
    pair = pool.pair if pool.pair is not None else f"{_short(pool.token0_address)}-{_short(pool.token1_address)}"
    return pool.chain, pool.dex, pair, fee(pool.fee_ppm, pool.fee_kind), age(pool.created_at, now)


def _short(address: str) -> str:
    first, last = SHORT_ADDRESS
    return f"{address[:first]}…{address[-last:]}"


def _number(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _lag(chain: ChainLive) -> str:
    if chain.lag_blocks is None:
        return "-"
    return f"{chain.lag_blocks:,} block{'' if chain.lag_blocks == 1 else 's'}"


def _percent(chain: ChainLive) -> str:
    if chain.percent is None:
        return "-"
    cut = int(chain.percent * 100) / 100  # 100 % is said only where nothing is missing
    return "100 %" if chain.missing_blocks == 0 else f"{cut:.2f} %"


def _eta(chain: ChainLive, shot: Snapshot) -> str:
    if chain.missing_blocks == 0:
        return "done"
    seconds = shot.eta_s.get(chain.chain)
    return "-" if seconds is None else span(seconds)


def _trouble(chain: ChainLive, shot: Snapshot) -> str | None:
    """Why a chain does not move; None while it does."""
    if chain.halted is not None:
        return f"halted: {chain.halted}"
    if chain.head is None:
        since = "yet"
    elif chain.seen_age_s is not None and chain.seen_age_s > STALE_S:
        since = f"for {span(chain.seen_age_s)}"
    else:
        return None
    why = chain.note or shot.endpoints.get(chain.chain)
    return f"no endpoint has answered {since}" + (f": {why}" if why else "")


def _running(shot: Snapshot) -> str:
    return (f"{shot.doing}  " if shot.doing else "") + f"running {span(shot.running_s)}"


def _counts(shot: Snapshot) -> str:
    def total(name: str) -> int:
        return sum(getattr(each, name) for each in shot.totals)

    waiting = total("tokens_pending") + total("pools_pending")
    parts = [f"{total('pools'):,} pools", f"{total('tokens'):,} tokens", f"{waiting:,} waiting"]
    parts += [f"{total('orphaned'):,} orphaned", f"{total('dead'):,} dead"]
    return " " + "   ".join(
        [*parts, *([f"{shot.restarts} restart{'' if shot.restarts == 1 else 's'}"] if shot.restarts else [])]
    )


def _listed(listed: Listed) -> str:
    """What venues list, and what became of it. Suspect lists changed nothing; failed ones did not come."""
    parts = [f"{listed.live:,} listed on {listed.venues} venue{'' if listed.venues == 1 else 's'}"]
    parts += [f"{listed.gone:,} gone", f"{listed.reborn:,} reborn"]
    parts += [f"{count} {what}" for count, what in ((listed.suspect, "suspect"), (listed.failing, "failing")) if count]
    return " " + "   ".join(parts)


def _footer(shot: Snapshot, width: int) -> str:
    return _between(f"Flower {shot.flower_url or 'starts'}", "Ctrl-C stops", width)


def _between(left: str, right: str, width: int) -> str:
    """One text at each edge."""
    room = width - cell_len(right) - 3
    return fit(f" {fit(left, max(room, 0))} {right}", width).rstrip()
