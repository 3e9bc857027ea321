"""How venues list what they trade. One file each, imported only by name, so that an absent client breaks no other."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import cast

from indexer.errors import Disabled, Refused
from indexer.venues.spec import CoinLists, Enricher, Login, Venue

__all__ = ["CoinLists", "Enricher", "Login", "Venue", "load", "load_enricher", "load_lists", "login"]


def load(adapter: str, extra: str) -> Venue:
    """The venue's file. Raises Disabled, naming what to install, where its client is absent."""
    return cast("Venue", _file(adapter, extra))


def load_enricher(adapter: str, extra: str) -> Enricher:
    """The file of a source that lists nothing. Raises as `load` does."""
    return cast("Enricher", _file(adapter, extra))


def load_lists(adapter: str, extra: str) -> CoinLists:
    """The file that reads lists of coins. Raises as `load` does."""
    return cast("CoinLists", _file(adapter, extra))


def login(adapter: str, extra: str) -> Login:
    """How a person logs in to this venue. Raises Refused where nobody has to, Disabled as `load` does."""
    if find_spec(f"{__name__}.{adapter}_login") is None:
        raise Refused(f"{adapter} needs no login by a browser; it is asked with the credentials of its variables")
    return cast("Login", _file(f"{adapter}_login", extra))


def _file(name: str, extra: str) -> ModuleType:
    full = f"{__name__}.{name}"
    try:
        return import_module(full)
    except ModuleNotFoundError as error:
        if error.name is not None and (error.name == full or error.name.startswith("indexer")):
            raise
        raise Disabled(f"{name}: {error.name} is not installed; pip install 'gazetteer[{extra}]'") from error
