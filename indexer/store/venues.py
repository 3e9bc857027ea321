"""The known venues and identifier schemes as tables. Processes read only these."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import text

from indexer.store import Tx


class SchemeFacts(Protocol):
    """What is remembered of a way to name things, most of all who may pass such a name on."""

    @property
    def name(self) -> str: ...  # noqa: D102 - facts, named in the row's own terms
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def licence(self) -> str: ...  # noqa: D102
    @property
    def licence_note(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102


class VenueFacts(SchemeFacts, Protocol):
    """What is remembered of a known venue."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def mic(self) -> str | None: ...  # noqa: D102
    @property
    def every_s(self) -> float: ...  # noqa: D102
    @property
    def scopes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def enabled(self) -> bool: ...  # noqa: D102


_VENUE = text("""
    insert into gazetteer.venues
        (name, title, kind, mic, licence, licence_note, every_s, scopes, source, enabled)
    values (:name, :title, :kind, :mic, :licence, :licence_note, :every_s, cast(:scopes as text[]), :source, :enabled)
    on conflict (name) do update set
        title = excluded.title, kind = excluded.kind, mic = excluded.mic, licence = excluded.licence,
        licence_note = excluded.licence_note, every_s = excluded.every_s, scopes = excluded.scopes,
        source = excluded.source, enabled = excluded.enabled
""")
_OFF = text("update gazetteer.venues set enabled = false where enabled and name != all(cast(:names as text[]))")
_SCHEME = text("""
    insert into gazetteer.schemes (name, title, licence, licence_note, source)
    values (:name, :title, :licence, :licence_note, :source)
    on conflict (name) do update set
        title = excluded.title, licence = excluded.licence, licence_note = excluded.licence_note,
        source = excluded.source
""")


def load(tx: Tx, venues: Sequence[VenueFacts], schemes: Sequence[SchemeFacts]) -> None:
    """Make the tables say what is known now. Nothing is deleted: a venue no longer known is switched off."""
    for venue in sorted(venues, key=lambda each: each.name):
        tx.execute(
            _VENUE,
            _licensed(venue)
            | {
                "kind": venue.kind,
                "mic": venue.mic,
                "every_s": venue.every_s,
                "scopes": list(venue.scopes),
                "enabled": venue.enabled,
            },
        )
    tx.execute(_OFF, {"names": [venue.name for venue in venues]})
    for scheme in sorted(schemes, key=lambda each: each.name):
        tx.execute(_SCHEME, _licensed(scheme))


def _licensed(facts: SchemeFacts) -> dict[str, object]:
    return {
        "name": facts.name,
        "title": facts.title,
        "licence": facts.licence,
        "licence_note": facts.licence_note,
        "source": facts.source,
    }
