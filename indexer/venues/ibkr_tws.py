"""Interactive Brokers over TWS or its Gateway, through ib_async: what is known of one contract, its ISIN above all.

A contract that is asked for may never be answered, and an answer that comes after its time breaks the client: each
is waited for so long, and a connection that was once silent is given up.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from ib_async import IB, Contract, ContractDetails, StartupFetchNONE
from ib_async.wrapper import RequestError

from indexer.errors import BadAnswer, BadSetting, GazetteerError, RateLimited, VenueUnavailable
from indexer.model import Details, Learned, Sought
from indexer.ports import Session
from indexer.venues.reading import identifiers, text

URL = "tcp://127.0.0.1:4001"
"""The Gateway's socket for live accounts. Of what the operator puts in its place only host and port count."""

CLIENT_ID = 71
"""One connection at a time may bear it: `options.client_id` names another."""

UNKNOWN = 200
TOO_FAST = 100
PACED_S = 60.0

logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # it logs every contract that is unknown


def look_up(session: Session, sought: Sequence[Sought], options: Mapping[str, object]) -> Iterator[Learned]:
    """Details of the contracts whose ids these listings bear, one after the other over one connection."""
    asked = [each for each in sought if each.identifiers.get("conid", "").isdigit()]
    known = {each.natural_key for each in asked}
    yield from (Learned(natural_key=each.natural_key) for each in sought if each.natural_key not in known)
    if not asked:
        return
    with asyncio.Runner() as runner:
        ib = runner.run(_connected(session, options))
        try:
            for number, each in enumerate(asked, 1):
                session.draw()
                told = runner.run(_details(ib, session, int(each.identifiers["conid"])))
                yield learned(each, told)
                session.progress(number, len(asked))
        finally:
            runner.run(_gone(ib))


def learned(sought: Sought, told: Sequence[ContractDetails]) -> Learned:
    """What the details say; nothing where there are several, or where they are another contract's."""
    contract = told[0].contract if len(told) == 1 else None
    if contract is None or str(contract.conId) != sought.identifiers.get("conid"):
        return Learned(natural_key=sought.natural_key)
    (found,) = told
    ids = {pair.tag: pair.value for pair in found.secIdList or ()}
    raw = {"company": found.longName, "industry": found.industry, "category": found.category}
    share = contract.secType == "STK"
    return Learned(
        natural_key=sought.natural_key,
        identifiers=identifiers(isin=ids.get("ISIN"), cusip=found.cusip or ids.get("CUSIP") or None),
        details=Details(
            company_name=text(raw, "company") if share else None,
            sector=text(raw, "industry"),
            industry=text(raw, "category"),
        ),
    )


async def _connected(session: Session, options: Mapping[str, object]) -> IB:
    parts = urlsplit(session.url("rest", str(options.get("url", URL))))
    number = options.get("client_id", CLIENT_ID)
    if parts.hostname is None or parts.port is None or not isinstance(number, int):
        raise BadSetting(f"{session.venue}: no host and port to connect to; write tcp://127.0.0.1:4001")
    ib = IB()
    ib.RaiseRequestErrors = True
    session.draw()
    try:
        await ib.connectAsync(
            parts.hostname,
            parts.port,
            clientId=number,
            timeout=session.timeout_s,
            readonly=True,
            fetchFields=StartupFetchNONE,
        )
    except (OSError, TimeoutError) as error:
        said = f"{session.venue}: no TWS or Gateway answers ({type(error).__name__})"
        raise VenueUnavailable(f"{said}; start it, let its API in, and see to the client id") from None
    return ib


async def _details(ib: IB, session: Session, conid: int) -> list[ContractDetails]:
    question = ib.reqContractDetailsAsync(Contract(conId=conid))
    try:
        told: list[ContractDetails] = await asyncio.wait_for(question, session.timeout_s)
    except TimeoutError:
        raise VenueUnavailable(f"{session.venue}: silence, the connection is given up") from None
    except RequestError as error:
        if error.code == UNKNOWN:
            return []
        raise _refusal(session.venue, error.code) from None
    except ConnectionError:
        raise VenueUnavailable(f"{session.venue}: it broke off") from None
    return told


def _refusal(venue: str, code: int) -> GazetteerError:
    if code == TOO_FAST:
        return RateLimited(f"{venue}: too many questions", retry_after_s=PACED_S)
    return BadAnswer(f"{venue}: error {code}")


async def _gone(ib: IB) -> None:
    ib.disconnect()
    await asyncio.sleep(0)  # what was written is sent, and the socket closed
