"""What a venue says about one thing that it lists: identity, lifecycle, dates, rules. Exact, or None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

AssetClass = Literal["crypto", "equity", "fx", "commodity", "debt", "index", "alternative"]
"""What it is about: the underlying of a derivative, what is bought of anything else."""

InstClass = Literal[
    "spot",
    "amm_pool",
    "stock",
    "etf",
    "fund",
    "index",
    "tokenised_share",
    "perpetual",
    "future",
    "future_spread",
    "option",
    "option_spread",
    "warrant",
    "bond",
    "cfd",
]
"""What kind of thing it is. A currency pair is `spot`, in class `fx` or `crypto`."""

Status = Literal["pre_listing", "active", "halted", "restricted", "delisted", "expired", "unknown"]
OptionRight = Literal["call", "put"]
Payoff = Literal["linear", "inverse", "quanto"]
Exercise = Literal["american", "european"]
Settlement = Literal["cash", "physical"]

GONE: tuple[Status, ...] = ("delisted", "expired")
"""Nothing comes after these but a new generation."""

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]
"""What `attrs` hold. No floats: a decimal is kept as its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """One name of an instrument in a scheme of `known/schemes.toml` (isin, figi, conid, osi, ...), checked."""

    scheme: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an order has to keep to. Sizes in base units or contracts, notionals in the quote currency, all exact."""

    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    more: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a broker knows of an issuer, as of one reading. Not identity: a change makes no version."""

    company_name: str | None = None
    sector: str | None = None
    industry: str | None = None
    market_cap: Decimal | None = None
    market_cap_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row of a venue's list, normalised.

    `stable_id` is the venue's most permanent id within its scope. `birth` is anything of the row that a later bearer
    of the same id would not share (an onboard date, a contract's address); another one means another instrument.
    `symbol` is the venue's own ticker; `base`, `quote`, `settle` are its own codes, untranslated. `underlying` is the
    code of what a derivative is about, `tracks` of what a tokenised share follows, `multiplier` how much of it one
    unit stands for. `expires_on` is the day, `expires_at` the moment where the venue tells it. `list_at`, `delist_at`
    are as announced, ahead or behind. `mic` is where a broker says that it is listed, `exchange` the broker's word.
    """

    symbol: str
    stable_id: str
    status: Status
    venue_status: str | None = None
    birth: str | None = None
    asset_class: AssetClass | None = None
    inst_class: InstClass | None = None
    display: str | None = None
    base: str | None = None
    quote: str | None = None
    settle: str | None = None
    currency: str | None = None
    underlying: str | None = None
    tracks: str | None = None
    multiplier: Decimal | None = None
    payoff: Payoff | None = None
    expires_on: date | None = None
    expires_at: datetime | None = None
    strike: Decimal | None = None
    option_right: OptionRight | None = None
    exercise: Exercise | None = None
    settlement: Settlement | None = None
    adjusted: bool | None = None
    mic: str | None = None
    exchange: str | None = None
    tradable: bool | None = None
    list_at: datetime | None = None
    delist_at: datetime | None = None
    identifiers: Sequence[Identifier] = ()
    rules: Rules = Rules()
    details: Details = Details()
    attrs: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one run fetched of one scope: raw rows as the venue sent them, in order, and why they are thought whole.

    `evidence` says it in words and figures (pages read, cursor exhausted, the venue's own count). `client` names the
    library and version that fetched: an upgrade may change what a venue seems to list.
    """

    rows: Sequence[Mapping[str, object]]
    complete: bool
    evidence: Mapping[str, Json]
    client: str
    pages: int
