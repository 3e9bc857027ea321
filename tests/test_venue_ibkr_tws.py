"""TWS and its Gateway: one contract after the other over one connection, and no silence that lasts."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from ib_async import Contract, ContractDetails, TagValue

from indexer.errors import BadSetting, RateLimited, VenueUnavailable
from indexer.known import venues
from indexer.model import Details, Identifier, Learned, Sought
from indexer.sim.venues.tws import Tws
from indexer.venues import ibkr_tws, load_enricher
from tests.brokers import session

(ROW,) = (row for row in venues() if row.name == "ibkr_tws")


@pytest.fixture
def tws() -> Iterator[Tws]:
    made = Tws(7)
    made.start()
    yield made
    made.close()


def contract(conid: int | str) -> Sought:
    return Sought(natural_key=str(conid), symbol="S", identifiers={"conid": str(conid)})


def asked(tws: Tws, *sought: Sought, timeout_s: float = 5.0, **options):
    return list(ibkr_tws.look_up(session("ibkr_tws", tws.url, timeout_s=timeout_s), sought, options))


def questions(tws: Tws) -> list[str]:
    return [fields[3] for fields in tws.asked if fields[0] == "9"]


def test_details_come_over_one_connection_that_may_not_trade(tws):
    assert load_enricher(ROW.adapter, ROW.extra) is ibkr_tws
    tws.add(265598, symbol="AAPL", longName="APPLE INC", secIdList=[("ISIN", "US0378331005")])
    known = [row["conId"] for row in tws.rows["details"]]
    found = {each.natural_key: each for each in asked(tws, *map(contract, known))}
    assert found["265598"] == Learned(
        natural_key="265598",
        identifiers=(Identifier(scheme="isin", value="US0378331005"),),
        details=Details(company_name="APPLE INC", sector="Technology", industry="Computers"),
    )
    assert len(found) == len(known)
    assert tws.connections == 1
    assert questions(tws) == [str(conid) for conid in known]
    assert {fields[0] for fields in tws.asked} <= {"71", "61", "9"}


def test_what_is_unknown_twofold_or_no_contract_is_a_miss(tws):
    known = tws.rows["details"][0]["conId"]
    assert asked(tws, contract(5), contract("x"), Sought(natural_key="none", symbol="S")) == [
        Learned(natural_key="x"),
        Learned(natural_key="none"),
        Learned(natural_key="5"),
    ]
    tws.faults.add("several")
    assert asked(tws, contract(known)) == [Learned(natural_key=str(known))]
    before = tws.connections
    assert asked(tws, contract("x")) == [Learned(natural_key="x")]
    assert tws.connections == before


def test_a_wrong_isin_is_not_believed(tws):
    tws.add(7, secIdList=[("ISIN", "US0378331006")])
    (found,) = asked(tws, contract(7))
    assert (found.identifiers, found.details.sector) == ((), "Technology")


def test_silence_ends_by_our_own_timeout_and_with_it_the_connection(tws):
    first, second = (row["conId"] for row in tws.rows["details"][:2])
    tws.faults.add(f"silence@{second}")
    found = ibkr_tws.look_up(
        session("ibkr_tws", tws.url, timeout_s=0.3), [contract(each) for each in (first, second, first)], {}
    )
    assert next(found).natural_key == str(first)
    with pytest.raises(VenueUnavailable, match="silence, the connection is given up"):
        next(found)
    assert questions(tws) == [str(first), str(second)]
    tws.faults.clear()
    assert len(asked(tws, contract(second))) == 1
    assert tws.connections == 2


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("too_fast", RateLimited, "too many questions"),
        ("cut", VenueUnavailable, "broke off|silence"),
        ("mute", VenueUnavailable, "no TWS or Gateway answers"),
        ("silence", VenueUnavailable, "silence"),
    ],
)
def test_a_refusal_is_told_apart(tws, fault, error, says):
    tws.faults.add(fault)
    with pytest.raises(error, match=says) as caught:
        asked(tws, contract(tws.rows["details"][0]["conId"]), timeout_s=0.3)
    assert type(caught.value) is error


def test_without_a_gateway_it_is_asked_later(tws):
    tws.close()
    with pytest.raises(VenueUnavailable, match="ConnectionRefusedError"):
        asked(tws, contract(1))


def test_an_address_without_a_port_is_a_wrong_setting():
    with pytest.raises(BadSetting, match="no host and port"):
        list(ibkr_tws.look_up(session("ibkr_tws", "tcp://127.0.0.1"), [contract(1)], {}))


@pytest.mark.shared
def test_real_contract_details_are_read_without_a_loss(shared):
    told = json.loads((shared / "data/broker/ibkr/nautilus_contract_details.json").read_text())
    found = {}
    for name, contract_ in told.items():
        details = told.get(f"{name}_details")
        if details is None:
            continue
        facts = {key: value for key, value in details.items() if key in ContractDetails.__dataclass_fields__}
        facts |= {
            "contract": Contract(**contract_),
            "secIdList": [TagValue(each["tag"], each["value"]) for each in details["secIdList"]],
            "minTick": Decimal(str(details["minTick"])),
        }
        sought = Sought(natural_key=name, symbol="", identifiers={"conid": str(contract_["conId"])})
        found[name] = ibkr_tws.learned(sought, [ContractDetails(**facts)])
    assert len(found) == 4
    apple = found["aapl_equity_contract"]
    assert [one.value for one in apple.identifiers] == ["US0378331005"]
    assert apple.details == Details(company_name="APPLE INC", sector="Technology", industry="Computers")
    others = [each for name, each in found.items() if not name.startswith("aapl")]
    assert not any(each.anything for each in others)
