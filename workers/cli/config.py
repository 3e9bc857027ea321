"""`gazetteer config`: the settings in effect, without a key, and where each of them comes from."""

from urllib.parse import urlsplit

import click

from indexer.wire.redact import HIDDEN, public_name
from workers import wiring


@click.command()
def config() -> None:
    """The settings in effect, and where each comes from. Keys and passwords are not shown."""
    found = wiring.settings()
    rows = [
        (setting.name, _shown(setting.name, getattr(found, setting.name)), found.where[setting.name], setting.about)
        for setting in wiring.SETTINGS
    ]
    for chain in wiring.chains():
        place = found.where.get(f"rpc_{chain.name}", "default")
        names = ", ".join(_endpoint(url) for url in wiring.urls(chain.name)) or "none"
        rows.append((f"rpc_{chain.name}", names, place, f"endpoints of {chain.name}"))
    for name, value, place, about in rows:
        click.echo(f"{name:<16} {value}")
        click.echo(f"{'':<16}   {place}; {about}")


def _endpoint(url: str) -> str:
    return f"{urlsplit(url).scheme}://{public_name(url)}{' (keyed)' if wiring.is_keyed(url) else ''}"


def _shown(name: str, value: object) -> str:
    if value is None:
        return "-"
    if name == "flower_auth":
        return f"{str(value).partition(':')[0]}:{HIDDEN}"
    if name.endswith("_url"):
        parts = urlsplit(str(value))
        return (
            f"{parts.scheme}://{parts.path}"
            if parts.scheme == "unix"
            else f"{parts.scheme}://{public_name(str(value))}"
        )
    return ", ".join(value) if isinstance(value, tuple) else str(value)
