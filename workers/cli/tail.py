"""`gazetteer tail`: what happens, one line an event, none of them missed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import click

from indexer import store
from indexer.errors import DatabaseUnavailable
from indexer.store import Db, events
from indexer.store import tail as read
from indexer.store.events import Event
from indexer.store.tail import About, Subject, key_of
from workers.cli.place import data_dir as with_data_dir
from workers.cli.place import register
from workers.cli.shown import json_text, safe

NEWEST = 20
A_BATCH = 500
LOOK_S = 0.5
AWAY_S = 1.0
UNTOLD = "?"

Key = tuple[int, int]


class _KeyType(click.ParamType[Key]):
    name = "TX:ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Key:
        if isinstance(value, tuple):
            return value
        left, _, right = str(value).partition(":")
        if not (left.isdecimal() and right.isdecimal()):
            self.fail(f"{value!r} is no key; write the tx and id of an event, as in 1234:56", param, ctx)
        return int(left), int(right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are printed; None: all."""

    kinds: frozenset[str] | None = None
    chain: str | None = None

    def holds(self, event: Event) -> bool:
        """Whether this one is."""
        return (self.kinds is None or event.kind in self.kinds) and self.chain in (None, event.chain)


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens from now, until Ctrl-C.")
@click.option("--after", type=_KeyType(), default=None, help="Begin behind this event instead of with the newest 20.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--kinds", default=None, help="Only these, with commas, as in pool.created,pool.orphaned.")
@click.option("--chain", default=None, help="Only this chain.")
@with_data_dir
def tail(
    follow: bool, after: Key | None, as_json: bool, kinds: str | None, chain: str | None, data_dir: Path | None
) -> None:
    """Print what happens: pools created, orphaned, final; tokens resolved; instruments listed, changed, delisted."""
    names = frozenset(word.strip() for word in kinds.split(",") if word.strip()) if kinds else None
    with register(data_dir) as db:
        reader = _Reader(db=db, wanted=Wanted(kinds=names, chain=chain), as_json=as_json, key=after or events.START)
        if after is None:
            reader.newest()
        if after is not None or follow:
            reader.catch_up()
        if follow:
            reader.follow()


@dataclass(kw_only=True)
class _Reader:
    """Prints events; everything up to `key` was printed, or is not wanted."""

    db: Db
    wanted: Wanted
    as_json: bool
    key: Key

    def newest(self) -> None:
        """The last few."""
        with store.begin(self.db) as tx:
            upto = events.last(tx)
            kinds = sorted(self.wanted.kinds) if self.wanted.kinds else None
            found = read.newest(tx, upto, NEWEST, kinds, self.wanted.chain)
            about = read.subjects(tx, found)
        self._print(found, about)
        self.key = upto

    def catch_up(self) -> None:
        """All that can be read behind `key`."""
        full = True
        while full:
            with store.begin(self.db) as tx:
                found = events.after(tx, self.key, A_BATCH)
                shown = [event for event in found if self.wanted.holds(event)]
                about = read.subjects(tx, shown) if shown else {}
            self._print(shown, about)
            full = len(found) == A_BATCH
            self.key = found[-1].key if found else self.key

    def follow(self) -> None:
        """Until Ctrl-C. A database that is away is waited for; what happened meanwhile is printed then."""
        away = False
        try:
            while True:
                try:
                    self.catch_up()
                    away = False
                except DatabaseUnavailable as error:
                    if not away:
                        click.echo(f"the database is away ({safe(str(error))}); waiting", err=True)
                    away = True
                time.sleep(AWAY_S if away else LOOK_S)
        except KeyboardInterrupt:
            click.echo(f"to go on from here: gazetteer tail --follow --after {self.key[0]}:{self.key[1]}", err=True)

    def _print(self, found: Sequence[Event], about: About) -> None:
        for event in found:
            subject = about.get(key_of(event))
            click.echo(_object(event, subject) if self.as_json else line(event, subject))


def line(event: Event, subject: Subject | None) -> str:
    """An event in one line: when, what, where, who, and the id to ask for."""
    at = event.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    label = (subject.label if subject else None) or UNTOLD
    place = event.chain or (subject.exchange if subject else None) or UNTOLD
    words = [at, f"{event.kind:<14}", f"{place:<9}", f"{safe(label):<14}"]
    if subject is not None and subject.dex:
        words.append(f"{subject.dex:<20}")
    words.append(event.subject or safe(event.natural_key or UNTOLD))
    if event.block_number is not None:
        words.append(f"block {event.block_number}")
    if event.source == "history":
        words.append("(history)")
    return " ".join(words)


def _object(event: Event, subject: Subject | None) -> str:
    return json_text(
        {
            "tx": event.tx,
            "id": event.id,
            "kind": event.kind,
            "chain": event.chain,
            "chain_id": event.chain_id,
            "subject": event.subject,
            "natural_key": event.natural_key,
            "exchange": subject.exchange if subject else None,
            "label": subject.label if subject else None,
            "dex": subject.dex if subject else None,
            "token0_address": subject.token0_address if subject else None,
            "token1_address": subject.token1_address if subject else None,
            "block_number": event.block_number,
            "source": event.source,
            "at": event.at.isoformat(),
        }
    )
