"""Canonical JSON, against RFC 8785's own examples and against another implementation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from cohortium_platform.audit.canonical import canonical_json, entry_bytes
from cohortium_platform.errors import CohortiumError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_what_another_implementation_writes(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_the_sorting_example_of_the_rfc() -> None:
    # RFC 8785 section 3.2.3: keys sort by UTF-16 code units, so the face comes before the Hebrew letter's form.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, "")))) == [
        "\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


def test_the_text_example_of_the_rfc() -> None:
    # RFC 8785 section 3.2.2.2
    assert canonical_json('€$\u000f\nA\'B"\\\\"/') == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_numbers_that_readers_disagree_on_are_text() -> None:
    value = {"code": 999000000000000123, "share": 0.1, "large": 1e300, "below": -(2**53), "none": float("inf")}
    assert (
        canonical_json(value)
        == b'{"below":"-9007199254740992","code":"999000000000000123","large":"1e+300","none":"inf","share":"0.1"}'
    )


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(CohortiumError, match="holds a set"):
        canonical_json({"a": {1}})


def test_the_bytes_of_an_entry_are_fixed() -> None:
    entry = SimpleNamespace(
        id=UUID(int=7), ticket=12, at=datetime(2026, 11, 22, 5, 6, 7, 80, tzinfo=timezone(timedelta(hours=1))),
        actor="p-1", role="clinician", organisation="U99101", purpose="direct care", action="open", resource="patient",
        practices=["Z1"], patients=[b"\1\2"], policy="reach", outcome="done", request_id="r", detail={"b": 1, "a": [2]},
    )  # fmt: skip
    assert entry_bytes(entry) == (
        b'{"action":"open","actor":"p-1","at":"2026-11-22T04:06:07.000080Z","detail":{"a":[2],"b":1},"format":1,'
        b'"id":"00000000-0000-0000-0000-000000000007","organisation":"U99101","outcome":"done","patients":["0102"],'
        b'"policy":"reach","practices":["Z1"],"purpose":"direct care","request_id":"r","resource":"patient",'
        b'"role":"clinician","ticket":12}'
    )
    entry.at = entry.at.astimezone(UTC)
    assert b"04:06:07.000080Z" in entry_bytes(entry)
