"""Writing what one practice's system would send: its own view of each block, as Parquet.

Here: the columns of the tabular extract, a practice's view of people who moved, and files. Not here: making records.

A person who moved stands in two extracts. The old practice has the record up to the day before the move and a
registration that ended then; the new one has the whole record, history included, and a registration from the move on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cohortium_platform.synthetic.arrays import NEVER, Days, Flags, Index
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.places import ETHNIC_GROUPS
from cohortium_platform.synthetic.population import SEXES
from cohortium_platform.synthetic.records import KINDS, Dated, Record
from cohortium_platform.synthetic.rows import EPISODES, UNITS

__all__ = ["PracticeFiles", "View", "practice_tables", "write_manifest"]

_ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a practice sees a block: under which local ids (counted from `first_id`), and whether it was left for
    another practice of the tenant (`departed`). `episodes` says whether its system gives the episode type.
    """

    code: str
    first_id: int
    departed: bool
    episodes: bool


@dataclass(slots=True)
class PracticeFiles:
    """Files of one practice, one a table, opened when the first rows come. A row group a block."""

    folder: Path
    name: str
    _writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)

    def write(self, table: str, rows: pa.Table) -> int:
        """Append rows to a table's file. Gives how many."""
        if rows.num_rows == 0:
            return 0
        if table not in self._writers:
            path = self.folder / table / f"{self.name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[table] = pq.ParquetWriter(
                path, rows.schema, compression="zstd", compression_level=_ZSTD_LEVEL, store_schema=False
            )
        self._writers[table].write_table(rows, row_group_size=rows.num_rows)
        return int(rows.num_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()


def _days(days: Days) -> pa.Array:
    return pa.array(days, pa.int32(), mask=days >= NEVER).cast(pa.date32())


def _words(places: Index, words: tuple[str | None, ...]) -> pa.Array:
    """Give texts by place; None and places below zero are null."""
    known = [word for word in words if word is not None]
    new = np.array([known.index(word) if word is not None else -1 for word in words] + [-1], dtype=np.int32)
    chosen = new[places]
    indices = pa.array(chosen, pa.int32(), mask=chosen < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A block's people under a practice's local ids."""

    ids: pa.Array
    code: str

    @classmethod
    def of(cls, view: View, size: int) -> _Seen:
        numbers = range(view.first_id, view.first_id + size)
        return cls(pa.array([f"{number:07d}" for number in numbers], pa.string()), view.code)

    def columns(self, person: Index) -> dict[str, pa.Array]:
        """Give the two columns that every table begins with."""
        local = pa.DictionaryArray.from_arrays(pa.array(person, pa.int32()), self.ids)
        practice = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(person), dtype=np.int32)), pa.array([self.code], pa.string())
        )
        return {"local_id": local, "practice": practice}


def _patients(record: Record, view: View, seen: _Seen, shown: Index) -> pa.Table:
    people, names = record.people, record.identities
    left = view.departed
    death = np.full(len(shown), NEVER, dtype=np.int32) if left else people.death[shown]
    contact = people.origin_start if left else people.start

    def text(values: list[str] | list[str | None]) -> pa.Array:
        return pa.array([values[place] for place in shown.tolist()], pa.string())

    columns = seen.columns(shown)
    return pa.table(
        {
            "local_id": columns["local_id"],
            "nhs_number": text(names.nhs_number),
            "nhs_number_status": text(names.nhs_number_status),
            "family_name": text(names.family_name),
            "given_name": text(names.given_name),
            "title": text(names.title),
            "date_of_birth": _days(people.birth[shown]),
            "sex": _words(people.sex[shown].astype(np.int32), SEXES),
            "ethnicity": _words(people.ethnicity[shown].astype(np.int32), ETHNIC_GROUPS),
            "imd_decile": pa.array(people.imd[shown], pa.int8(), mask=people.imd[shown] == 0),
            "lsoa": text(names.lsoa),
            "date_of_death": _days(death),
            "practice": columns["practice"],
            "address": text(names.address),
            "postcode": text(names.postcode),
            "telephone": text(names.telephone),
            "mobile": text(names.mobile),
            "email": text(names.email),
            "contact_recorded": _days(contact[shown]),
        }
    )


def _registrations(record: Record, view: View, seen: _Seen, shown: Index) -> pa.Table:
    people = record.people
    start, end = (people.origin_start, people.moved - 1) if view.departed else (people.start, people.end)
    dates = {"start_date": _days(start[shown]), "end_date": _days(end[shown])}
    return pa.table(seen.columns(shown) | dates)


def _kept(record: Record, view: View, person: Index, day: Days) -> Flags:
    """Say which rows a practice has: all, or those before the person left it."""
    if not view.departed:
        return np.ones(len(person), dtype=np.bool_)
    return np.asarray(day < record.people.moved[person])


def _events(record: Record, view: View, seen: _Seen) -> pa.Table:
    events = record.events
    if view.departed:
        events = events.take(_kept(record, view, events.person, events.day))
    episode = events.episode if view.episodes else np.zeros_like(events.episode)
    return pa.table(
        seen.columns(events.person)
        | {
            "date": _days_of_all(events.day),
            "code": pa.array(events.code, pa.int64()),
            "value": pa.array(events.value, pa.float64(), mask=np.isnan(events.value)),
            "unit": _words(events.unit.astype(np.int32), UNITS),
            "episode": _words(episode.astype(np.int32), EPISODES),
        }
    )


def _days_of_all(days: Days) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


def _dated(record: Record, view: View, seen: _Seen, rows: Dated, name: str) -> pa.Table:
    kept = _kept(record, view, rows.person, rows.day)
    what = rows.what[kept]
    column = pa.array(what, pa.int64()) if name == "code" else _words(what.astype(np.int32), KINDS)
    return pa.table(seen.columns(rows.person[kept]) | {"date": _days_of_all(rows.day[kept]), name: column})


def _contacts(record: Record, view: View, seen: _Seen) -> pa.Table:
    kin = record.kin
    kept = _kept(record, view, kin.person, kin.day)
    size, places = int(kept.sum()), np.flatnonzero(kept).tolist()
    same = np.zeros(size, dtype=np.int32)
    return pa.table(
        seen.columns(kin.person[kept])
        | {
            "date": _days_of_all(kin.day[kept]),
            "kind": _words(same, ("next-of-kin",)),
            "relationship": _words(same, ("N",)),
            "name": pa.array([kin.name[place] for place in places], pa.string()),
            "value": pa.array([kin.telephone[place] for place in places], pa.string()),
        }
    )


def practice_tables(record: Record, view: View) -> dict[str, pa.Table]:
    """Give a practice's view of a block as the tables of the tabular extract."""
    seen = _Seen.of(view, record.people.size)
    shown = np.flatnonzero(record.shown).astype(np.int32)
    return {
        "patients": _patients(record, view, seen, shown),
        "registrations": _registrations(record, view, seen, shown),
        "events": _events(record, view, seen),
        "medications": _dated(record, view, seen, record.medications, "code"),
        "consultations": _dated(record, view, seen, record.consultations, "kind"),
        "contacts": _contacts(record, view, seen),
    }


def write_manifest(folder: Path, options: SyntheticOptions, *, source: str) -> None:
    """Write `extract.yaml`: whose records these are, and the day to which they run."""
    practices = [practice.code for practice in options.practices] if source == "gp" else []
    content = {"source": source, "records_to": options.records_to.isoformat()}
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(content | ({"practices": practices} if practices else {}), sort_keys=False)
    (folder / "extract.yaml").write_text(text, encoding="utf-8")
