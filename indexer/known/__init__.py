"""Public facts about the world, one TOML row each, bound to the code that reads them."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from indexer.known import chain, code, factory, quote, scheme, venue
from indexer.known.chain import Chain, parse_chains
from indexer.known.code import Code
from indexer.known.quote import Quote
from indexer.known.scheme import Scheme
from indexer.known.venue import VenueRow, parse_venues
from indexer.model import Factory

__all__ = [
    "Chain",
    "Code",
    "Quote",
    "Scheme",
    "VenueRow",
    "chains",
    "codes",
    "factories",
    "parse_chains",
    "parse_factories",
    "parse_venues",
    "quote_rank",
    "schemes",
    "venues",
]


@cache
def chains() -> tuple[Chain, ...]:
    """Every known chain, in the order of `chains.toml`."""
    return chain.parse_chains(_rows("chains", "chain"), "known/chains.toml")


@cache
def factories() -> tuple[Factory, ...]:
    """Every known factory, those that are not enabled included."""
    return factory.parse_factories(_rows("factories", "factory"), "known/factories.toml", chains())


@cache
def quote_rank() -> tuple[Quote, ...]:
    """The dated list of tokens that others are quoted in, best first."""
    return quote.parse_quotes(_rows("quotes", "quote"), "known/quotes.toml", chains())


@cache
def codes() -> tuple[Code, ...]:
    """What exchanges' codes mean, where nobody but people can tell."""
    return code.parse_codes(_rows("codes", "code"), "known/codes.toml")


@cache
def venues() -> tuple[VenueRow, ...]:
    """Every known venue, those that are not enabled included."""
    return venue.parse_venues(_rows("venues", "venue"), "known/venues.toml")


@cache
def schemes() -> tuple[Scheme, ...]:
    """Every known identifier scheme."""
    return scheme.parse_schemes(_rows("schemes", "scheme"), "known/schemes.toml")


def parse_factories(
    rows: Sequence[Mapping[str, Any]],
    source: str,
    of: Sequence[Chain] | None = None,
) -> tuple[Factory, ...]:
    """Factories from rows of `[[factory]]` whose `chain` is the name of one of `of` (the known chains if None).

    Raises BadSetting naming `source`, row, key and remedy.
    """
    return factory.parse_factories(rows, source, chains() if of is None else of)


def _rows(file: str, table: str) -> list[dict[str, Any]]:
    text = files(__name__).joinpath(f"{file}.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)[table]
    return rows
