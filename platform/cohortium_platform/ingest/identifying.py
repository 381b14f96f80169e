"""The identities and contacts that a delivery brings: from columns to what is sealed, and to rows that name nobody.

Here: identities as batches by practice, and the contact rows that patients' own columns give. Not here: sealing and
storing (`cohortium_platform.identities`), and contact rows of a table of their own (`streaming`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cohortium_platform.identities.identity import TEXT_FIELDS
from cohortium_platform.identities.loading import IdentityBatch
from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.people import People
from cohortium_platform.ingest.shapes import SHAPES
from cohortium_platform.ingest.streaming import NEVER, Stream
from cohortium_platform.ingest.workbench import Workbench, literal, reading
from cohortium_platform.records.schema import RecordTable
from cohortium_plugins.importing import EXTRACT_COLUMNS

__all__ = ["CONTACT_COLUMNS", "add_contacts", "identity_batches", "read_contact_details"]

_CONTACTS = SHAPES[RecordTable.CONTACTS]
_NEXT_OF_KIN = "N"
"""UK Core's relationship code."""

_KINDS = {
    "telephone": "telephone IS NOT NULL",
    "mobile": "mobile IS NOT NULL",
    "email": "email IS NOT NULL",
    "address": "coalesce(address, postcode) IS NOT NULL",
    "next-of-kin": "coalesce(next_of_kin_name, next_of_kin_telephone, next_of_kin_relationship) IS NOT NULL",
}
CONTACT_COLUMNS = frozenset({"telephone", "mobile", "email", "address", "next_of_kin_name"})
"""Columns of patients that say whether there is a contact."""

_RELATIONSHIP = f"""
    CASE WHEN next_of_kin_relationship IS NULL THEN '{_NEXT_OF_KIN}'
    WHEN regexp_full_match(next_of_kin_relationship, {literal(_CONTACTS.allowed["relationship"])})
    THEN next_of_kin_relationship END
"""
_OWN = " UNION ALL ".join(
    f"SELECT place, given.contact_recorded AS day, {literal(kind)} AS kind, "
    + (_RELATIONSHIP if kind == "next-of-kin" else "NULL")
    + f" AS relationship, {number} AS number FROM patients JOIN given USING (id) WHERE is_primary AND {condition}"
    for number, (kind, condition) in enumerate(_KINDS.items())
)
_KIN = f"""
    if({_KINDS["next-of-kin"]}, [{{
        'kind': 'next-of-kin', 'relationship': coalesce(next_of_kin_relationship, '{_NEXT_OF_KIN}'),
        'name': next_of_kin_name, 'value': next_of_kin_telephone
    }}], [])
"""
_DETAILS = [column for column in EXTRACT_COLUMNS["contacts"] if column not in {"local_id", "practice", "date"}]


def add_contacts(bench: Workbench, stream: Stream) -> None:
    """Add the contacts that patients' own columns tell of to the table of contacts; what they are stays behind."""
    found = bench.table(f"SELECT place, day, kind, relationship FROM ({_OWN}) ORDER BY place, number").combine_chunks()
    if not found.num_rows:
        return
    person = found["place"].to_numpy().astype(np.int32)
    day = found["day"].cast(pa.int32()).fill_null(NEVER).to_numpy()
    stream.add(
        {
            "person": person,
            "day": np.where(day == NEVER, stream.people.until[person], day).astype(np.int32),
            "kind": stream.numbers_of("kind", found["kind"].combine_chunks()),
            "relationship": stream.numbers_of("relationship", found["relationship"].combine_chunks()),
        }
    )


def read_contact_details(bench: Workbench, parts: Sequence[Part], people: People) -> None:
    """Make the table `details`: by place, the names and numbers of a table of contacts, in the order given."""
    bench.run(
        "CREATE TABLE details (hash UBIGINT, by_practice BOOLEAN, part INTEGER, row BIGINT, "
        + ", ".join(f"{column} VARCHAR" for column in _DETAILS)
        + ")"
    )
    for number, part in enumerate(parts):
        relation, row = part.numbered
        columns = ", ".join(part.text(column) for column in _DETAILS)
        with reading(part.shown_as, part.format):
            bench.run(
                f"INSERT INTO details SELECT {people.hash_of(part)}, {people.names_practice(part)}, {number}, {row}, "
                f"{columns} FROM {relation} WHERE {part.text('local_id')} IS NOT NULL"
            )
    found = ", ".join(f"'{column}': details.{column}" for column in _DETAILS)
    bench.run(f"""
        CREATE OR REPLACE TABLE details AS
        SELECT place, list({{{found}}} ORDER BY details.part, details.row) AS contacts
        FROM details JOIN (
            SELECT place, hash(practice, local_id) AS hash, true AS by_practice FROM patients WHERE place IS NOT NULL
            UNION ALL SELECT place, hash(local_id), false FROM patients WHERE place IS NOT NULL
        ) USING (hash, by_practice)
        GROUP BY place
    """)


def identity_batches(
    bench: Workbench, people: People, registered: Mapping[int, NDArray[np.int32]]
) -> Iterator[IdentityBatch]:
    """Identities by practice. `registered` gives for a practice the places of those registered there now.

    Of a person with several rows the first counts. An NHS number that the pseudonym was not made of is searched for all
    the same, when it has ten digits.
    """
    fields = ", ".join(
        [f"'{field}': {'digits' if field == 'nhs_number' else f'given.{field}'}" for field in TEXT_FIELDS]
        + ["'date_of_birth': patients.date_of_birth::VARCHAR", f"'contacts': {_KIN} || coalesce(contacts, [])"]
    )
    for practice, code in enumerate(people.practices):
        rows = bench.table(f"""
            SELECT place, encode(json_merge_patch('{{}}', to_json({{{fields}}}))::VARCHAR) AS plain,
                family_name, given_name,
                if(standing <> 0 AND length(digits) = 10, digits, NULL) AS number
            FROM patients JOIN given USING (id) LEFT JOIN details USING (place)
            WHERE is_primary AND patients.practice = {literal(code)} ORDER BY place
        """)
        places = rows["place"].to_numpy()
        ids: NDArray[Any] = people.patient_ids[places]
        yield IdentityBatch(
            code,
            ids.tolist(),
            np.isin(places, registered.get(practice, np.empty(0, np.int32))).tolist(),
            rows["plain"].to_pylist(),
            [rows["family_name"].to_pylist(), rows["given_name"].to_pylist()],
            rows["number"].to_pylist(),
        )
