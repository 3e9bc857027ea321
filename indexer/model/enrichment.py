"""What lists do not carry, and others know: identifiers and details of a listing, asked for by what it has already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from indexer.model.listing import AssetClass, Details, Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A listing that something is asked about. Of several identifiers of a scheme none stands here."""

    natural_key: str
    symbol: str
    asset_class: AssetClass | None = None
    currency: str | None = None
    mic: str | None = None
    identifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What one source knows of it, checked; nothing, where it knows nothing or several things."""

    natural_key: str
    identifiers: Sequence[Identifier] = ()
    details: Details = field(default_factory=Details)

    @property
    def anything(self) -> bool:
        """Whether it knows anything at all."""
        return bool(self.identifiers) or self.details != Details()
