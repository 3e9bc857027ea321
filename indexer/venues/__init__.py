"""How venues list what they trade. One file each, imported only by name, so that an absent client breaks no other."""

from importlib import import_module
from typing import cast

from indexer.errors import Disabled
from indexer.venues.spec import Venue

__all__ = ["Venue", "load"]


def load(adapter: str, extra: str) -> Venue:
    """The venue's file. Raises Disabled, naming what to install, where its client is absent."""
    name = f"{__name__}.{adapter}"
    try:
        return cast("Venue", import_module(name))
    except ModuleNotFoundError as error:
        if error.name is not None and (error.name == name or error.name.startswith("indexer")):
            raise
        raise Disabled(f"{adapter}: {error.name} is not installed; pip install 'gazetteer[{extra}]'") from error
