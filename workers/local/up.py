"""`gazetteer up`: everything on one machine, on real networks."""

from pathlib import Path

from indexer.wire.redact import public_names
from workers import wiring
from workers.local import data
from workers.local.data import REGISTER, Register
from workers.local.screen import WIDTH
from workers.local.session import NEVER_S, Session, never, say
from workers.local.stack import Stack, flower_port, inherited
from workers.wording import folded

TURN_S = 5.0


def run(data_dir: Path | None, workers: int, wanted_port: int) -> None:
    """Run until it is asked to end. Raises Refused for a wrong setting, before anything is started."""
    settings, chains = wiring.settings(), wiring.chain_names()
    wiring.factories()  # a wrong row is named now, not by every role in turn
    register = Register(data.base(data_dir) / REGISTER)
    register.make()
    with register.held("supervisor", TURN_S):
        port, wished = flower_port(wanted_port)
        taken = "" if wished else f" (port {wanted_port} is taken)"
        stack = Stack(
            command="up",
            register=register,
            chains=chains,
            workers=workers,
            flower_port=port,
            database_url=settings.database_url,
            broker_url=settings.broker_url,
            postgres_bin=settings.postgres_bin,
            inherited=inherited(ours=True),
            own={"CONFIG": str(settings.file.absolute())} if settings.file else {},
            venues=bool(wiring.venues()),
        )
        endpoints = {name: _endpoints(name) for name in chains}
        say(f"gazetteer up: {', '.join(chains)}")
        for name, shown in endpoints.items():
            say(f"  {name} asks {shown}")
        if stack.venues:
            say("\n".join(folded(f"  lists {', '.join(row.title for row in wiring.venues())}", WIDTH, "    ")))
        say(f"data in {register.root}, logs in {register.logs}")
        say(f"Flower at {stack.flower_url}{taken}; Ctrl-C stops everything")
        session = Session(stack=stack, title="gazetteer up", endpoints=endpoints)
        with session.everything():
            _session(session)


def _session(session: Session) -> None:
    stack = session.stack
    stack.start_servers()
    stack.migrate()
    if session.stopped:
        return
    say("\n".join(stack.plan()))
    if session.stopped:
        return
    stack.start_roles()
    session.show((NEVER_S, never, None))


def _endpoints(chain: str) -> str:
    """The chain's endpoints as they may be shown, those with a key marked."""
    urls = [url for url in wiring.urls(chain) if url.startswith("http")]
    names = zip(urls, public_names(urls), strict=True)
    return ", ".join(f"{name} (keyed)" if wiring.is_keyed(url) else name for url, name in names) or "nobody"
