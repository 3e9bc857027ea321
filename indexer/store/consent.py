"""What the operator decided about a chain's history: how far back, and on whose quota."""

from dataclasses import dataclass

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

_READ = text("select history_from, history_consent from gazetteer.chains where chain_id = :chain_id")
_DECIDE = text("""
    update gazetteer.chains set history_from = :floor, history_consent = history_consent or :consent
    where chain_id = :chain_id
""")
_WITH_HOLES = text("""
    select distinct h.name
    from gazetteer.chains h
    join gazetteer.cursors u using (chain_id)
    join gazetteer.factories f using (chain_id)
    join gazetteer.coverage c using (chain_id, address)
    where h.enabled and f.enabled and u.halted is null
      and greatest(f.from_block, coalesce(h.history_from, 0)) <= u.anchor_number
      and not c.scanned @> int8range(greatest(f.from_block, coalesce(h.history_from, 0)), u.anchor_number, '[]')
    order by h.name
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """`floor`: no block below it is read; None: all. `keyed`: endpoints with a key may be spent on history."""

    floor: int | None = None
    keyed: bool = False


def read(tx: Tx, chain_id: ChainId) -> Consent:
    """What was decided; the default where nothing was."""
    row = tx.execute(_READ, {"chain_id": chain_id}).one_or_none()
    return Consent() if row is None else Consent(floor=row.history_from, keyed=row.history_consent)


def decide(tx: Tx, chain_id: ChainId, *, floor: int | None, consent: bool) -> None:
    """Set how far back history goes. Consent once given stays."""
    tx.execute(_DECIDE, {"chain_id": chain_id, "floor": floor, "consent": consent})


def chains_with_holes(tx: Tx) -> list[str]:
    """Names of the enabled chains that miss a block between their floor and their anchor."""
    return [row.name for row in tx.execute(_WITH_HOLES)]
