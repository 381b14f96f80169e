"""From scratch rows to the staged tables: who is meant, which version counts, what was said twice.

Here: the joins over the whole delivery, in DuckDB, in columns and in bounded memory. Not here: reading resources, and
telling of what was found (`telling`).

Of each resource given more than once, the version of the newest `meta.lastUpdated` counts, else the last given; a
version that gives no row (entered in error) silences the older ones as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.ingest.fhir.extraction import CLINICAL_TYPES
from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.scratch import SCHEMAS
from cohortium_plugins.importing import Unreadable

__all__ = ["Resolution", "resolve"]

Resolution = duckdb.DuckDBPyConnection
"""An open database with the views `resolved`, `told_twice`, `replaced`, `registered`, `people` and `remarks`."""

_SETTINGS = ("set memory_limit = '2GB'", "set preserve_insertion_order = true", "set TimeZone = 'UTC'")

_VERSIONS = (
    """
    create temp table referents as
        select key, version, place from patients
        union all select key, version, place from organisations
        union all select key, version, place from medicines
    """,
    """
    create temp table replaced as
        with every as (
            select key, version, place from rows where key is not null union all from referents
        ), twice as (
            select key from every group by key having min(place) <> max(place)
        ), given as (
            select distinct key, version, place from every semi join twice using (key)
        )
        select place from given
        qualify row_number() over (
            partition by key order by try_cast(version as timestamptz) desc nulls last, place desc
        ) > 1
    """,
)
"""`replaced`: places of the resources of which a newer version is given."""

_REFERENCES = (
    """
    create temp table meanings as
        select name, kind, min(place) as place, count(distinct key) as bearers
        from names join referents using (place) anti join replaced using (place)
        group by name, kind
    """,
    """
    create temp table meant as
        with wanted as (
            select distinct 'Patient' as kind, subject as lookup from rows where subject is not null
            union all select distinct 'Medication', medication from rows where medication is not null
            union all select distinct 'Organization', organisation from registrations where organisation is not null
        ), steps as (
            select kind, lookup, unnest(string_split(lookup, chr(31))) as name,
                   generate_subscripts(string_split(lookup, chr(31)), 1) as step
            from wanted
        )
        select kind, lookup, bool_or(bearers > 1) as is_ambiguous,
               arg_min(place, step) filter (
                   bearers = 1 or starts_with(name, 'Patient?https://fhir.nhs.uk/Id/nhs-number|')
               ) as place
        from steps join meanings using (kind, name)
        group by kind, lookup
    """,
)
"""`meant`: the place of what each lookup means. A name of two resources means neither, unless it is an NHS number."""

_PEOPLE = (
    """
    create temp table registered as
        select r.* exclude (practice), coalesce(r.practice, o.practice) as practice
        from registrations r
        left join meant m on m.kind = 'Organization' and m.lookup = r.organisation
        left join organisations o on o.place = m.place
        anti join replaced on replaced.place = r.patient_place
    """,
    """
    create temp table people as
        select p.* replace (
                   if(count(*) over (partition by p.local_id) > 1, p.key, p.local_id) as local_id,
                   coalesce(p.date_of_death, if(p.died, getvariable('records_to'), null)) as date_of_death
               ),
               coalesce(p.updated, getvariable('records_to')) as known_on, r.practice
        from patients p
        left join registered r on r.patient_place = p.place and r.is_current
        anti join replaced on replaced.place = p.place
    """,
)
"""`people`: one row a patient, with the practice that their rows are filed under. Two servers may have given one id to
two people: then the whole address tells them apart."""

_ROWS = """
    select r.place, f.name as file, r.line, r.type, r.target, p.local_id, p.practice,
           try_cast(r.day as date) as date, coalesce(r.code, d.code) as code, r.value, r.unit, r.episode, r.kind,
           case
               when r.fate <> 0 then r.fate
               when p.local_id is null or try_cast(r.day as date) is null then 1
               when r.medication is not null and d.code is null then 1
               else 0
           end as fate,
           case
               when r.fate <> 0 then r.reason
               when r.subject is null then (select number from reason where name = 'NO_PATIENT')
               when p.local_id is null and m.is_ambiguous
                   then (select number from reason where name = 'AMBIGUOUS_PATIENT')
               when p.local_id is null then (select number from reason where name = 'DANGLING_PATIENT')
               when try_cast(r.day as date) is null then (select number from reason where name = 'BAD_DATE')
               when r.medication is not null and d.place is null
                   then (select number from reason where name = 'DANGLING_MEDICATION')
               else coalesce(d.reason, r.reason)
           end as reason
    from rows r
    join files f on f.number = r.place >> 40
    left join meant m on m.kind = 'Patient' and m.lookup = r.subject
    left join people p on p.place = m.place
    left join meant n on n.kind = 'Medication' and n.lookup = r.medication
    left join medicines d on d.place = n.place
    anti join replaced on replaced.place = r.place
"""
"""Rows of the versions that count, each with its person and its code, or with the reason why it is rejected."""

_TOLD_TWICE = """
    create temp table told_twice as
        with events as (
            select local_id, code, date, type, value, episode from resolved where target = 0 and fate = 0
        )
        select local_id, code, date, any_value(p.episode) as episode, bool_or(o.value is not null) as has_value
        from events o join events p using (local_id, code, date)
        where o.type = (select number from type where name = 'Observation')
          and p.type = (select number from type where name = 'Condition')
        group by local_id, code, date
"""
"""Facts given as a problem and as an observation of the same code on the same day."""

_EVENTS = """
    create temp view told_events as
        select e.*, t.episode as problem_episode,
               t.code is not null and (
                   (e.type = (select number from type where name = 'Observation') and e.value is null)
                   or (e.type = (select number from type where name = 'Condition') and t.has_value)
               ) as is_repeated
        from resolved e left join told_twice t using (local_id, code, date)
        where e.target = 0 and e.fate = 0
"""
"""Events, with those marked that the same fact told in the other way makes unnecessary: of a problem and an observation
the problem is kept, unless the observation has a value."""

_STAGED = {
    "patients": """
        select local_id, nhs_number, nhs_number_status, family_name, given_name, title, date_of_birth, sex, ethnicity,
               date_of_death, practice, address, postcode, telephone, mobile, email,
               known_on as contact_recorded, f.name as file, line
        from people join files f on f.number = place >> 40 order by place
    """,
    "registrations": """
        select p.local_id, r.practice, r.start as start_date, r.end as end_date,
               f.name as file, p.line
        from registered r join people p on p.place = r.patient_place join files f on f.number = p.place >> 40
        where r.practice is not distinct from p.practice
        order by p.place, start_date, end_date
    """,
    "contacts": """
        select p.local_id, p.practice, coalesce(c.date, p.known_on) as date, c.kind, c.relationship, c.name, c.value,
               f.name as file, p.line
        from contacts c join people p on p.place = c.patient_place join files f on f.number = p.place >> 40
        order by p.place, c.kind, date, c.value
    """,
    "events": """
        select local_id, practice, date, code, value, unit,
               coalesce(episode, if(value is not null, problem_episode, null)) as episode, file, line
        from told_events where not is_repeated order by place, code, value
    """,
    "medications": """
        select local_id, practice, date, code, file, line
        from resolved where target = 1 and fate = 0 order by place, code, date
    """,
    "consultations": """
        select local_id, practice, date, kind, file, line
        from resolved where target = 2 and fate = 0 order by place
    """,
}
"""What is staged, in the order in which it was given."""


def resolve(scratch: Path, staged: Path, files: Sequence[str], records_to: date | None) -> Resolution:
    """Join the scratch tables under `scratch` and write the staged tables under `staged`.

    `files` are the names of the delivery's files by number. Gives the database, for what is to be told of it.
    """
    database = duckdb.connect()
    for setting in _SETTINGS:
        database.execute(setting)
    database.execute("set temp_directory = ?", [str(scratch / "spill")])
    database.execute("set variable records_to = ?", [records_to.isoformat() if records_to else None])
    _open_scratch(database, scratch, files)
    for step in (*_VERSIONS, *_REFERENCES, *_PEOPLE):
        database.execute(step)
    _refuse_shared_ids(database)
    database.sql(_ROWS).write_parquet(str(scratch / "resolved.parquet"), compression="lz4")
    database.read_parquet(str(scratch / "resolved.parquet")).create_view("resolved")
    for step in (_TOLD_TWICE, _EVENTS):
        database.execute(step)
    for table, query in _STAGED.items():
        target = staged / f"{table}-fhir.parquet"
        database.sql(query).write_parquet(str(target), compression="zstd")
        if pq.read_metadata(target).num_rows == 0:
            target.unlink()
    return database


def _open_scratch(database: Resolution, scratch: Path, files: Sequence[str]) -> None:
    """Make a view of each scratch table, and of the names of files, types and reasons."""
    for name, schema in SCHEMAS.items():
        pq.write_table(schema.empty_table(), scratch / f"{name}-none.parquet")
        parts = sorted(str(path) for path in scratch.glob(f"{name}-*.parquet"))
        database.read_parquet(parts).create_view(name)
    listed = {
        "files": list(enumerate(files)),
        "type": list(enumerate(CLINICAL_TYPES)),
        "reason": [(int(reason), reason.name) for reason in Reason],
    }
    for name, rows in listed.items():
        numbers, words = zip(*rows, strict=True)
        path = scratch / f"{name}.parquet"
        pq.write_table(pa.table({"number": pa.array(numbers, pa.int32()), "name": pa.array(words, pa.string())}), path)
        database.read_parquet(str(path)).create(name)


def _refuse_shared_ids(database: Resolution) -> None:
    """Refuse one patient id with two NHS numbers when nothing says which is newer.

    They may be two people, and the records of one must not be filed under the other.
    """
    shared = database.execute(
        """
        select f.name, max_by(p.line, p.place)
        from patients p join files f on f.number = p.place >> 40
        where p.key in (
            select key from patients where nhs_number is not null
            group by key having count(distinct nhs_number) > 1 and count(version) < count(*)
        )
        group by f.name order by max(p.place) desc limit 1
        """
    ).fetchall()
    for file, line in shared:
        raise Unreadable(
            "one patient id stands for two NHS numbers, and nothing says which is newer",
            file=file, line=line, advice="Give every patient an id of their own, or state meta.lastUpdated.",
        )  # fmt: skip
