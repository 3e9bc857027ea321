"""The command `gazetteer`. One file for each group of commands; each is imported only when it is used."""

import sys
from importlib import import_module
from typing import Any

import click

from indexer.errors import GazetteerError, Refused

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("workers.cli.local", "Run everything on this machine, on real networks."),
    "demo": ("workers.cli.local", "Run everything on this machine, on simulated chains: no key, no network."),
    "status": ("workers.cli.look", "Where each chain stands, and how to ask."),
    "why": ("workers.cli.look", "What each chain waits for, what audits found, how endpoints behave."),
    "sql": ("workers.cli.ask", "Run one query and print the rows."),
    "psql": ("workers.cli.ask", "Open psql on the register."),
    "tail": ("workers.cli.tail", "Print what happens: pools created, orphaned, final; tokens resolved."),
    "backfill": ("workers.cli.backfill", "Read the past, newest first; --dry says what it costs."),
    "venues": ("workers.cli.venues", "Exchanges and brokers: what is listed, how it was read; read one now."),
    "work": ("workers.cli.work", "What is left to do, and what is dead."),
    "rewind": ("workers.cli.rewind", "Take a chain back to a block, to read again what is above it; --dry only says."),
    "config": ("workers.cli.config", "The settings in effect, and where each comes from."),
    "migrate": ("workers.cli.roles", "Bring the database to this version."),
    "follow": ("workers.cli.roles", "Follow the head of one chain."),
    "worker": ("workers.cli.roles", "Do what wake-ups point at: resolve tokens and pools, read history."),
    "beat": ("workers.cli.roles", "Send the periodic wake-ups."),
    "flower": ("workers.cli.roles", "Watch the workers in a browser."),
    "healthy": ("workers.cli.healthy", "Whether a role does its work; exit code 0 if so."),
    "simulate": ("workers.cli.simulate", "Serve the simulated chains of the demo."),
    "simulate_venues": ("workers.cli.simulate", "Serve the simulated exchanges and brokers of the demo."),
}
HIDDEN = ("simulate", "simulate_venues")
REFUSED = 2
FAILED = 1


class _Lazy(click.Group):
    """Knows its commands by name; web3, Celery and the rest are imported by the command that needs them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return [name for name in COMMANDS if name not in HIDDEN]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items() if name not in HIDDEN])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gazetteer")
def gazetteer() -> None:
    """A register of everything that can be traded: each pool and its tokens, seconds after it is announced."""


def main(argv: list[str] | None = None) -> None:
    """Run a command. What a person has to decide is said in one line, with exit code 2."""
    options: dict[str, Any] = {} if argv is None else {"args": argv}
    try:
        gazetteer(prog_name="gazetteer", **options)
    except Refused as error:
        click.echo(f"gazetteer: {error}", err=True)
        sys.exit(REFUSED)
    except GazetteerError as error:
        click.echo(f"gazetteer: {type(error).__name__}: {error}", err=True)
        sys.exit(FAILED)
