"""Arrays reach Postgres as they were, whatever they hold."""

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from indexer import store
from indexer.errors import GazetteerError
from indexer.model import Lane

KINDS = {
    "bytea": st.binary(max_size=40),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    "boolean": st.booleans(),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_comes_back_is_what_was_sent(db, kind):
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.none() | KINDS[kind], max_size=12))
    def check(values):
        with store.begin(db) as tx:
            assert tx.execute(text(f"select cast(:v as {kind}[])"), {"v": values}).scalar_one() == values

    check()


@pytest.mark.parametrize(
    "words", [['"', "\\", '\\"', "{", "}", ",", "NULL", "null", "", " ", "a b"], ["\\x00", "é", "\U0001d538"]]
)
def test_characters_that_mean_something_in_an_array_are_only_characters(db, words):
    with store.begin(db) as tx:
        assert tx.execute(text("select cast(:v as text[])"), {"v": words}).scalar_one() == words


def test_a_nul_in_a_text_is_refused_instead_of_ending_it(db):
    with pytest.raises((psycopg.DataError, ValueError, GazetteerError, Exception), match="NUL"), store.begin(db) as tx:
        tx.execute(text("select cast(:v as text[])"), {"v": ["a\0b"]})


def test_numbers_that_bear_a_name_are_numbers(db):
    with store.begin(db) as tx:
        assert tx.execute(text("select cast(:v as integer[])"), {"v": [Lane.LIVE, Lane.HISTORY]}).scalar_one() == [0, 1]
