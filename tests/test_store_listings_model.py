"""Random lists of a small venue, applied to the register and to a model without SQL: rows, versions, series, events."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.model import GONE, Identifier, Rules, natural_key
from tests.lab import listing
from tests.lab.listing import EVERY, NOW, SCOPE, VENUE, list_, pair

MOVING = ("ONE", "TWO", "SIX")
STANDING = tuple(f"S{number:02}" for number in range(30))  # so that the moving ones may vanish without suspicion
YESTERDAY = NOW.date() - timedelta(days=1)

rows = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["active", "active", "halted", "delisted"]),
        "birth": st.sampled_from([None, None, "b1", "b2"]),
        "tick": st.sampled_from([None, "0.1", "0.01"]),
        "isin": st.sampled_from([None, "A", "B"]),
        "expires_on": st.sampled_from([None, None, YESTERDAY, NOW.date(), date(2030, 1, 1)]),
    },
)
lists = st.fixed_dictionaries(
    {
        "rows": st.dictionaries(st.sampled_from(MOVING), rows),
        "standing": st.sampled_from([30, 30, 30, 30, 20, 0]),
        "complete": st.sampled_from([True, True, True, True, False]),
        "unreadable": st.sampled_from([0, 0, 0, 0, 1]),
        "accept": st.sampled_from([False, False, False, True]),
    },
)


@dataclass
class Bearer:
    """One generation of an id, as the model sees it."""

    told: dict
    birth: str | None
    seen: bool = True
    missed: int = 0
    since: object = None
    versions: list = field(default_factory=list)
    ticks: list = field(default_factory=list)
    isins: dict = field(default_factory=dict)

    @property
    def gone(self):
        return self.told["status"] in GONE

    def expires_by(self, day):
        return self.told["expires_on"] is not None and self.told["expires_on"] <= day

    def tell(self, at, told, run_events):
        changed = {name for name in told if name != "tick" and told[name] != self.told[name]}
        if told["tick"] != self.told["tick"]:
            self.rules(at, told["tick"])
            run_events.append("rules.changed")
        self.isin(at, told["isin"])
        self.told = dict(told)
        if changed:
            self.version(at, changed)
        return changed

    def version(self, at, changed):
        self.versions.append((at, frozenset("identifiers" if name == "isin" else name for name in changed)))

    def rules(self, at, tick):
        if tick is not None or self.ticks:
            self.ticks.append((at, tick))

    def isin(self, at, isin):
        for known in [value for value, spans in self.isins.items() if spans[-1][1] is None and value != isin]:
            self.isins[known][-1][1] = at
        if isin is not None and (isin not in self.isins or self.isins[isin][-1][1] is not None):
            self.isins.setdefault(isin, []).append([at, None])


class Model:
    """What a register has to hold after a sequence of lists."""

    def __init__(self):
        self.bearers = defaultdict(list)
        self.events = []

    def latest(self):
        return {key: bearers[-1] for key, bearers in self.bearers.items() if bearers}

    def apply(self, told, *, complete, unreadable, accept, now):
        today = now.astimezone(UTC).date()
        live = {key for key, each in self.latest().items() if not each.gone and not each.expires_by(today)}
        enough = (len(live & told.keys()) + unreadable) * 100 >= len(live) * 90
        if not (complete and told and enough) and not accept:
            return False
        for key in sorted(told):
            self.one(key, told[key], now)
        for key, each in self.latest().items():
            if key not in told:
                self.miss(key, each, now, today, counted=unreadable == 0)
        return True

    def one(self, key, told, now):
        known = self.latest().get(key)
        if known is None:
            self.bear(key, told, now, "instrument.listed")
        elif (known.gone and told["status"] not in GONE) or (
            None not in (known.birth, told["birth"]) and known.birth != told["birth"]
        ):
            if not known.gone:
                self.go(key, known, now, "delisted")
            known.seen = False
            self.bear(key, told, now, "instrument.relisted")
        else:
            self.known(key, known, told, now)

    def bear(self, key, told, now, kind):
        bearer = Bearer(dict(told), told["birth"])
        bearer.version(now, ())
        bearer.rules(now, told["tick"])
        bearer.isin(now, told["isin"])
        self.bearers[key].append(bearer)
        self.events.append((kind, key, len(self.bearers[key]) - 1))

    def known(self, key, bearer, told, now):
        rules = []
        changed = bearer.tell(now, told, rules)
        bearer.birth = told["birth"] or bearer.birth
        bearer.seen, bearer.missed, bearer.since = True, 0, None
        kinds = list(rules)
        if "status" in changed:
            kinds.append("instrument.delisted" if bearer.gone else "instrument.status_changed")
        if changed - {"status", "tradable"} or (changed and "status" not in changed):
            kinds.append("instrument.changed")
        self.events += [(kind, key, len(self.bearers[key]) - 1) for kind in kinds]

    def miss(self, key, bearer, now, today, *, counted):
        bearer.seen, bearer.since = False, bearer.since or now
        if bearer.gone:
            return
        bearer.missed += counted
        over = bearer.missed and bearer.told["expires_on"] is not None and bearer.told["expires_on"] < today
        if bearer.missed >= 3 or over:
            self.go(key, bearer, now, "expired" if bearer.expires_by(today) else "delisted")

    def go(self, key, bearer, now, status):
        changed = {"status"} | ({"tradable"} if bearer.told["tradable"] else set())
        bearer.told |= {"status": status, "tradable": False}
        bearer.version(now, changed)
        self.events.append((f"instrument.{status}", key, len(self.bearers[key]) - 1))


def row(name, *, tick, isin, tradable, **told):
    return pair(
        name,
        tradable=tradable,
        rules=Rules(tick_size=None if tick is None else Decimal(tick)),
        identifiers=() if isin is None else (Identifier(scheme="isin", value=isin),),
        **told,
    )


def wanted(model):
    """The model as the tables would hold it."""
    state, versions, rules, isins = {}, set(), set(), set()
    for key, bearers in model.bearers.items():
        for number, each in enumerate(bearers):
            name = natural_key(VENUE, SCOPE, key, number)
            latest = number == len(bearers) - 1
            since = None if each.seen else each.since
            state[name] = (
                latest,
                each.told["status"],
                each.told["tradable"],
                each.birth,
                each.seen,
                each.missed,
                since,
            )
            versions |= {(name, at, changed) for at, changed in each.versions}
            ends = [*(at for at, _ in each.ticks[1:]), None]
            rules |= {
                (name, at, end, Decimal(tick))
                for (at, tick), end in zip(each.ticks, ends, strict=False)
                if tick is not None
            }
            isins |= {(name, value, *span) for value, spans in each.isins.items() for span in spans}
    events = sorted((kind, natural_key(VENUE, SCOPE, key, number)) for kind, key, number in model.events)
    return state, versions, rules, isins, events


def found(tx):
    """The tables, where the open version's state is what the listing says of itself."""

    def rows_of(query):
        return tx.exec_driver_sql(query).all()

    state = {
        each[0]: tuple(each[1:])
        for each in rows_of(
            "select natural_key, latest, status, tradable, birth, last_seen is null, missed, missing_since"
            " from gazetteer.listings"
        )
    }
    versions = {
        (name, at, frozenset(changed))
        for name, at, changed in rows_of("select natural_key, valid_from, changed from gazetteer.listing_versions")
    }
    rules = {
        tuple(each)
        for each in rows_of("select natural_key, valid_from, valid_to, tick_size from gazetteer.trading_rules")
    }
    isins = {
        tuple(each) for each in rows_of("select natural_key, value, valid_from, valid_to from gazetteer.identifiers")
    }
    events = sorted(tuple(each) for each in rows_of("select kind, natural_key from gazetteer.events"))
    return state, versions, rules, isins, events


TORN = """
    select 'a series is torn' from (
        select valid_to, lead(valid_from) over (partition by natural_key order by valid_from) as next
        from gazetteer.listing_versions) as v where valid_to is distinct from next
    union all
    select 'a listing is not its open version' from gazetteer.listings l
    left join gazetteer.listing_versions v on v.natural_key = l.natural_key and v.valid_to is null
    where (v.state ->> 'status', v.state ->> 'symbol', v.state ->> 'expires_on')
        is distinct from (l.status, l.symbol, l.expires_on::text)
    union all
    select 'an instrument without its listing' from gazetteer.instruments i
    left join gazetteer.listings l using (natural_key) where l.natural_key is null
"""
EVERYTHING = ("instruments", "listings", "listing_versions", "trading_rules", "identifiers", "details", "events")


def asof(tx, at):
    """The statuses of that moment; what was not known then has none."""
    told = tx.exec_driver_sql("select natural_key, known, status from api.instruments_asof(%s)", (at,)).all()
    assert {each.status for each in told if not each.known} <= {None}
    return {each.natural_key: each.status for each in told if each.known}


def retold(tx):
    """The statuses that somebody has in the end who only reads what changed."""
    kept = {}
    query = "select natural_key, old_value, new_value from api.listing_changes where field = 'status' order by at"
    for name, old, new in tx.exec_driver_sql(query):
        assert kept.get(name) == old
        kept[name] = new
    return kept


def dump(tx):
    return {
        name: sorted(map(repr, tx.exec_driver_sql(f"select xmin, ctid, * from gazetteer.{name}")))
        for name in EVERYTHING
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lists, max_size=8))
def test_any_sequence_of_lists_ends_as_the_model_says_and_the_same_list_again_changes_nothing(db, told):
    with db.connect() as tx, tx.begin() as undone:
        listing.begin(tx)
        model, beat, past = Model(), 0, []
        for each in told:
            standing = {"status": "active", "birth": None, "tick": None, "isin": None, "expires_on": None}
            facts = {name: {**standing, "tradable": True} for name in STANDING[: each["standing"]]}
            facts |= {name: {**fact, "tradable": fact["status"] == "active"} for name, fact in each["rows"].items()}
            how = {name: each[name] for name in ("complete", "unreadable", "accept")}
            listed = [row(name, **fact) for name, fact in facts.items()]
            before = dump(tx)
            applied = list_(tx, *listed, at=beat, **how)
            assert (applied.status == "applied") == model.apply(facts, now=NOW + beat * EVERY, **how)
            assert applied.status == "applied" or dump(tx) == before
            assert found(tx) == wanted(model)
            assert tx.exec_driver_sql(TORN).all() == []
            past.append((NOW + beat * EVERY, {name: fact[1] for name, fact in wanted(model)[0].items()}))
            beat += 1
            if applied.status == "applied" and applied.missing == 0:
                before = dump(tx)
                again = list_(tx, *reversed(listed), at=beat, **how)
                assert (again.status, again.same) == ("applied", len(facts))
                assert dump(tx) == before
                beat += 1
        assert [(at, asof(tx, at)) for at, _ in past] == past
        assert retold(tx) == (past[-1][1] if past else {})
        undone.rollback()
