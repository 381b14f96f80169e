from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from cohortium_platform.errors import BadInput
from cohortium_plugins.model import Status
from cohortium_web.pages.registry.filters import Filters

FILTERS = st.builds(
    Filters,
    organisation=st.text(max_size=8),
    indicator=st.text(max_size=20),
    status=st.sampled_from([None, Status.OVERDUE, Status.DUE, Status.MET, Status.EXCLUDED, Status.NOT_EVALUATED]),
    gaps=st.integers(0, 999),
    age_from=st.none() | st.integers(0, 150),
    age_to=st.none() | st.integers(0, 150),
    strata=st.dictionaries(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9), max_size=3),
    search=st.none() | st.uuids(),
    page=st.integers(1, 10**9),
)


@given(FILTERS)
def test_an_address_gives_back_the_filters_it_was_made_of(filters: Filters) -> None:
    assert Filters.read(QueryParams(filters.query())) == filters


def test_no_filter_leaves_the_address_as_it_is() -> None:
    assert Filters().at("/registries/cancer-care/") == "/registries/cancer-care/"
    assert Filters(gaps=2, page=3).at("/x") == "/x?gaps=2&page=3"
    assert not Filters(page=3).are_set
    assert Filters(gaps=2).are_set


def test_a_filter_is_taken_away_from_the_first_page_on() -> None:
    filters = Filters(indicator="a", status=Status.DUE, gaps=3, strata={"sex": "male", "age": "x"}, page=4)
    assert filters.without("gaps") == Filters(indicator="a", status=Status.DUE, strata=filters.strata)
    assert filters.without("indicator") == Filters(gaps=3, strata=filters.strata)
    assert filters.without("by-sex").strata == {"age": "x"}


@pytest.mark.parametrize(
    "query",
    ["gaps=many", "gaps=-1", "age_from=151", "age_to=²", "status=red", "status=not_applicable", "search=1", "page=x"],
)
def test_what_makes_no_sense_is_refused(query: str) -> None:
    with pytest.raises(BadInput):
        Filters.read(QueryParams(query))


def test_an_empty_field_of_a_form_filters_nothing() -> None:
    assert Filters.read(QueryParams("organisation=&gaps=&age_from=&by-sex=&status=&search=&page=")) == Filters()
    assert Filters(search=UUID(int=1)).are_set
