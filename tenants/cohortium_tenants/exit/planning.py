"""What a bundle holds of a tenant, seen in one transaction: tables are written at once, files are listed to be copied.

Not here: copying (`exporting`), and the pages that describe a bundle to its reader (`describing`).
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from sqlmodel import Session, col, select

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.duckdb_script import Recomputation, recompute_script
from cohortium_platform.engine.refresh import out_of_date
from cohortium_platform.engine.source import RecordFiles
from cohortium_platform.errors import Conflict, Unavailable
from cohortium_platform.portability.manifest import PackInBundle
from cohortium_platform.portability.tables import exported_tables, lines_of
from cohortium_platform.portability.writing import BundleFolder
from cohortium_platform.records import COHORTIUM, RecordFile, RecordStore, RecordTable, files, snapshot_current
from cohortium_platform.results import ResultFileRow, ResultKind, ResultStore, former_results
from cohortium_plugins.model import Codelist
from cohortium_tenants.exit.describing import descriptions
from cohortium_tenants.packs import definition_of, enabled_packs
from cohortium_tenants.packs.catalogue.versions import content_of
from cohortium_tenants.packs.service import TenantDefinition

__all__ = ["Copied", "write_tables"]


@dataclass(frozen=True, slots=True)
class Copied:
    """A file to be copied under the path it has in the store. `of` names the practices whose rows are taken, where the
    file holds rows that no longer count; `rows` and `bytes` are those of what is taken, bytes at most.
    """

    path: str
    sha256: str
    rows: int
    bytes: int
    of: Sequence[str] = ()


def write_tables(
    session: Session, store: RecordStore, results: ResultStore, bundle: BundleFolder, tenant_id: UUID
) -> Mapping[str, object]:
    """Write everything that is not copied, and give the plan of the rest. The session is a frozen one.

    Raises `Conflict` when results do not stand on the newest records.
    """
    snapshot = snapshot_current(session)
    records = files(session, snapshot)
    copies = [Copied(file.path, file.sha256, file.rows, file.bytes) for file in records]
    bundle.add("records/catalogue.jsonl", _catalogue(records), len(records))
    packs, recomputed = [], []
    for enabled in enabled_packs(session):
        found, dates = definition_of(session, enabled.pack), list[date]()
        if former_results(session, enabled.pack):
            dates = _index_dates(session, store, found)
            shown = _shown(session, results, enabled.pack)
            copies.extend(copied for some in shown.values() for copied in some)
            recomputed.append(_recomputation(session, store, records, found, dates, shown))
        _write_pack(bundle, found, enabled.version, content_of(session, enabled.content_hash))
        packs.append(
            PackInBundle(
                id=enabled.pack,
                version=enabled.version,
                content_hash=enabled.content_hash,
                definition_hash=found.hash,
                parameters=dict(enabled.parameters),
                index_dates=[day.isoformat() for day in dates],
            )
        )
    bundle.add("recompute.sql", (piece.encode() for piece in recompute_script(recomputed)))
    for name in exported_tables():
        counted = _Counted(lines_of(session, name))
        with bundle.writing(f"control/{name}.jsonl") as file:
            file.writelines(counted)
        bundle.finish(f"control/{name}.jsonl", counted.lines)
    for path, content in descriptions([file.path for file in copies]):
        bundle.add(path, [content])
    return {
        "tenant": str(tenant_id),
        "snapshot": snapshot,
        "packs": [asdict(pack) for pack in packs],
        "copies": [asdict(copied) for copied in copies],
        "written": sorted(bundle.done),
    }


class _Counted:
    """Lines that pass by, counted."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._source, self.lines = lines, 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._source:
            self.lines += 1
            yield line


def _catalogue(records: Sequence[RecordFile]) -> Iterator[bytes]:
    for file in records:
        line = {
            "path": file.path,
            "practice": file.practice,
            "source": file.source,
            "table": str(file.table),
            "rows": file.rows,
        }
        yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


# --- packs ------------------------------------------------------------------------------------------------------------


def _write_pack(bundle: BundleFolder, found: TenantDefinition, version: str, content: bytes) -> None:
    """Write a pack's file as it was published, and its codelists as the tenant's registry uses them."""
    folder = f"packs/{found.pack.id}/{version}"
    bundle.add(f"{folder}/{found.pack.id}-{version}.pack", [content])
    for name, codelist in sorted(found.definition.codelists.items()):
        bundle.add(f"{folder}/codelists/{name}.csv", [_csv(codelist)])


def _csv(codelist: Codelist) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["code", "term", "category", "local"])
    writer.writerows([code.code, code.term, code.category or "", str(code.local).lower()] for code in codelist.codes)
    return text.getvalue().encode()


# --- results ----------------------------------------------------------------------------------------------------------


def _index_dates(session: Session, store: RecordStore, found: TenantDefinition) -> list[date]:
    """The dates of a registry's results, which must all stand on the newest records. Raises `Conflict`."""
    pack = found.pack.id
    if behind := out_of_date(session, store, pack, found.hash):
        raise Conflict(
            f"Results of {pack} do not stand on the newest records, for practice {min(behind)} and {len(behind) - 1} "
            "more: nobody could work them out again.",
            "Run: cohortium refresh --tenant TENANT, or cohortium evaluate, then export again.",
        )
    former = former_results(session, pack)[0]
    return [*former.earlier_dates, former.evaluation.index_date]


def _shown(session: Session, results: ResultStore, pack: str) -> Mapping[str, Sequence[Copied]]:
    """The files of results that count, by kind."""
    rows = session.exec(
        select(ResultFileRow).where(ResultFileRow.pack == pack, col(ResultFileRow.superseded).is_(None))
    )
    by_file: dict[str, list[ResultFileRow]] = defaultdict(list)
    for row in rows:
        by_file[row.path].append(row)
    shown: dict[str, list[Copied]] = defaultdict(list)
    for path, listed in sorted(by_file.items()):
        place, counting = results.path(path), sum(row.rows for row in listed)
        try:
            whole, size = pq.read_metadata(place).num_rows, place.stat().st_size
        except (OSError, pa.ArrowException):
            raise Unavailable(f"{path} cannot be read.", "Restore it from a backup, or evaluate again.") from None
        practices = () if counting == whole else sorted(row.practice for row in listed)
        shown[listed[0].kind].append(Copied(path, listed[0].sha256, counting, size, practices))
    return shown


def _recomputation(  # noqa: PLR0913, PLR0917 - a registry, its records and its results
    session: Session,
    store: RecordStore,
    records: Sequence[RecordFile],
    found: TenantDefinition,
    dates: Sequence[date],
    shown: Mapping[str, Sequence[Copied]],
) -> Recomputation:
    """What the script works out, by the paths that files have in the bundle."""
    source = CatalogueSource(session, store, snapshot_current(session))
    practices = sorted({name for former in former_results(session, found.pack.id) for name in former.practices})
    tables: dict[str, list[str]] = defaultdict(list)
    for file in sorted(records, key=lambda file: file.bytes, reverse=True):
        tables[file.table].append(file.path)
    entries = [f.path for f in records if (f.source, f.table) == (COHORTIUM, RecordTable.EVENTS)]
    compared = [*shown[ResultKind.RESULTS], *shown.get(ResultKind.HISTORY, ())]
    return Recomputation(
        pack=found.pack.id,
        definition=found.definition,
        source=RecordFiles(tables, {practice: source.standing(practice) for practice in practices}),
        practices=practices,
        index_dates=dates,
        entries=entries,
        results=[copied.path for copied in compared],
    )
