"""One load, from a delivery to a new snapshot: everything before the commit can be lost, nothing is half visible.

Here: the order of the steps and the one transaction. Not here: any step itself; choosing an importer and telling people
of errors (`service`).

    read -> judge patients -> pseudonyms -> (a trust's: find where they are registered) -> rows into buckets
         -> record files under new names -> one transaction

The transaction is opened while record files are still being written by other threads, since sealing identities and
writing them to PostgreSQL takes one thread alone; it holds the tenant's catalogue for that time, and commits when every
file is on disk. A load that dies before the commit leaves files that no catalogue names, which are swept up; one that
dies after it leaves the same. The transaction checks that nobody else loaded the same practice and source meanwhile.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from cohortium_platform import audit
from cohortium_platform.identities.loading import IdentityChanges, IdentitySealer, apply_changes, digests
from cohortium_platform.ingest.apart import is_ours, read_apart
from cohortium_platform.ingest.identifying import identity_batches, read_contact_details
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.matching import match
from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.patients import read_patients
from cohortium_platform.ingest.people import People, pseudonymise, settle
from cohortium_platform.ingest.progress import Step, Tell, Teller
from cohortium_platform.ingest.quality import PracticeQuality, QualityLog, QualityReport
from cohortium_platform.ingest.reporting import KnownCodes, Tally
from cohortium_platform.ingest.scope import Scope, scope_of
from cohortium_platform.ingest.staging import StagingArea
from cohortium_platform.ingest.tabulating import Tables, TableWriter, read_tables, write_patients
from cohortium_platform.ingest.target import LoadResult, LoadTarget, Requester
from cohortium_platform.ingest.workbench import Workbench, no_room
from cohortium_platform.ingest.writing import Written
from cohortium_platform.records.catalogue import (
    Replacement,
    SourceState,
    files,
    lock,
    publish,
    snapshot_current,
    sources,
)
from cohortium_platform.records.models import Load
from cohortium_platform.records.schema import GP, SCHEMAS, RecordTable
from cohortium_platform.records.store import WrittenFile
from cohortium_plugins.importing import Importer, ImportOptions, Unreadable

__all__ = ["Run", "Transaction"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Transaction = Callable[[], AbstractContextManager[Session]]
"""Opens the one transaction in which a load becomes visible."""


@dataclass(slots=True)
class Run:
    """One load under way. `on_commit` runs in its transaction, last, and may raise to undo it all."""

    target: LoadTarget
    delivery: Path
    options: ImportOptions
    importer: Importer
    limits: LoadLimits
    requester: Requester = field(default_factory=Requester)
    known_codes: KnownCodes | None = None
    tell: Tell | None = None
    transaction: Transaction | None = None
    on_commit: Callable[[Session, LoadResult], None] | None = None
    load_id: UUID = field(default_factory=uuid4)
    log: QualityLog = field(default_factory=QualityLog)
    _written: list[str] = field(default_factory=list)
    _teller: Teller = field(init=False)

    def __post_init__(self) -> None:
        self._teller = Teller(self.tell)

    def load(self) -> LoadResult:
        """Load the delivery. When it raises (`Unreadable`, `Conflict`, `Unavailable`), the tenant is as before."""
        started = datetime.now(UTC), time.perf_counter()
        try:
            with self.target.store.working() as folder, Workbench(folder, self.limits) as bench:
                result = self._load(bench, started)
        except BaseException as failure:
            for path in self._written:
                self.target.store.discard(path)
            if isinstance(failure, OSError) and failure.errno in _NO_ROOM:
                raise no_room() from failure
            raise
        if self.on_commit is None:  # what went with the commit may have ended whatever listens
            self._teller(Step.DONE, 1.0)
        return result

    def _load(self, bench: Workbench, started: tuple[datetime, float]) -> LoadResult:
        parts, scope = self._read(bench)
        people, standing = self._find_people(bench, parts, scope)
        last_loads = self._last_loads(standing)
        self._teller(Step.ROWS)
        tables = read_tables(bench, parts, people, self.log, self._teller)
        self._teller(Step.WRITING)
        tally = Tally(people, self.log)
        with TableWriter(self.target.store, tables, self.limits) as writer:
            self._write_people(bench, writer, tally)
            writer.start(registrations=False)
            transaction = self.transaction or (lambda: self.target.database.tenant(self.target.tenant_id))
            with transaction() as session:
                lock(session)
                changes = self._write_identities(bench, parts, session, tally)
                self._finish_files(writer, tables, tally, standing)
                report = tally.report(last_loads, self.known_codes)
                self._teller(Step.COMMITTING)
                result, unused = self._publish(session, _Outcome(scope, tally, changes, report, standing, started))
            self._written = list(unused)
        for path in unused:
            self.target.store.discard(path)
        return result

    def _read(self, bench: Workbench) -> tuple[Mapping[str, Sequence[Part]], Scope]:
        """Have the importer read the delivery."""
        self._teller(Step.READING)
        staged = bench.folder / "staged"
        staged.mkdir()
        area = StagingArea(
            staged,
            self.delivery.name,
            self.options,
            self.log,
            lambda done, total: self._teller(Step.READING, done / max(total, 1)),
        )
        if is_ours(self.importer):
            self.importer.read(self.delivery, self.options, area)
        else:
            read_apart(self.importer, self.delivery, area, self.limits)
        parts = area.parts()
        if "patients" not in parts:
            raise Unreadable(
                "the delivery holds no patients", file=self.delivery.name,
                advice="Every delivery names its patients, a trust's by NHS number and date of birth.",
            )  # fmt: skip
        return parts, scope_of(area, self.target.directory)

    def _find_people(
        self, bench: Workbench, parts: Mapping[str, Sequence[Part]], scope: Scope
    ) -> tuple[People, Mapping[str, SourceState]]:
        """Judge and pseudonymise patients; and see what their practices have of this source by now."""
        self._teller(Step.PATIENTS)
        patients = parts["patients"]
        read_patients(bench, patients, scope, self.log)
        self._teller(Step.PATIENTS, 0.5)
        pseudonymise(bench, patients, scope, self.target.keys, self.log)
        with self.target.database.tenant(self.target.tenant_id) as session:
            now = snapshot_current(session)
            standing = {state.practice: state for state in sources(session, now) if state.source == scope.source}
            own = (RecordTable.PATIENTS, RecordTable.REGISTRATIONS)
            registered = [] if scope.is_gp else files(session, now, tables=own)
        if not scope.is_gp:
            where = [(file.table, self.target.store.path(file.path)) for file in registered if file.source == GP]
            match(bench, patients, scope, self.log, where)
        return settle(bench, patients, scope, self.log), standing

    def _write_people(self, bench: Workbench, writer: TableWriter, tally: Tally) -> None:
        """Write patients, and registrations, for which identities wait."""
        if tally.people.scope.is_gp:
            for file in write_patients(bench, self.target.store, tally.people):
                self._note(tally, file)
        writer.start(registrations=True)
        for written in writer.written():
            self._note(tally, written)

    def _write_identities(
        self, bench: Workbench, parts: Mapping[str, Sequence[Part]], session: Session, tally: Tally
    ) -> IdentityChanges:
        """Seal the identities that changed and write them. A trust's delivery changes none."""
        people = tally.people
        with IdentitySealer(self.target.keys, bench.folder / "identities") as sealer:
            if people.scope.is_gp:
                read_contact_details(bench, parts.get("contacts", ()), people)
                for done, batch in enumerate(identity_batches(bench, people, tally.registered)):
                    sealer.add(batch, digests(session, batch.practice))
                    self._teller(Step.WRITING, done / len(people.practices))
        apply_changes(session, sealer.changes)
        return sealer.changes

    def _finish_files(
        self, writer: TableWriter, tables: Tables, tally: Tally, standing: Mapping[str, SourceState]
    ) -> None:
        """Wait for all record files, and write empty ones where a trust has nobody left."""
        self._teller(Step.FINISHING)
        expected = max(len(tables.streams) * len(tables.people.practices), 1)
        for done, written in enumerate(writer.written()):
            self._note(tally, written)
            self._teller(Step.FINISHING, done / expected)
        for practice in self._emptied(tables.people, standing):
            for table in tables.streams:
                empty = SCHEMAS[table].columns.empty_table()
                self._note(tally, self.target.store.write(practice, tables.people.scope.source, table, empty))

    def _note(self, tally: Tally, written: Written | WrittenFile) -> None:
        """Take in a file that was written, and remember it for the case that the load fails."""
        if isinstance(written, Written):
            self._written.append(written.file.path)
            tally.add(written)
        else:
            self._written.append(written.path)
            tally.add_file(written)

    def _emptied(self, people: People, standing: Mapping[str, SourceState]) -> list[str]:
        """Practices of which a trust's new delivery has nobody left: a trust delivers all it has, or what it names."""
        if people.scope.is_gp:
            return []
        named = people.scope.named
        return sorted(code for code in standing if code not in people.practices and (not named or code in named))

    def _last_loads(self, standing: Mapping[str, SourceState]) -> dict[str, PracticeQuality]:
        """What each practice had by the load that made what it has now."""
        wanted = {state.load_id for state in standing.values()}
        with self.target.database.tenant(self.target.tenant_id) as session:
            rows = session.exec(select(Load.id, Load.quality).where(col(Load.id).in_(wanted))).all()
        reports = {load: QualityReport.from_json(quality) for load, quality in rows}
        return {
            code: reports[state.load_id].practices[code]
            for code, state in standing.items()
            if code in reports[state.load_id].practices
        }

    def _publish(self, session: Session, outcome: _Outcome) -> tuple[LoadResult, Sequence[str]]:
        """Put files, report and audit entry into the transaction. Gives the files that are of no use after it, too."""
        load = self._load_row(outcome)
        session.add(load)
        session.flush()
        expected = {(code, state.source): state.load_id for code, state in outcome.standing.items()}
        published = publish(session, outcome.replacements(), load_id=self.load_id, expected=expected)
        load.snapshot = published.snapshot
        result = self._result(outcome, published.snapshot)
        session.add(load)
        audit.record(session, self._audit_entry(result))
        session.flush()
        self._teller(Step.COMMITTING, 1.0)
        if self.on_commit is not None:
            self.on_commit(session, result)
        return result, published.unused

    def _load_row(self, outcome: _Outcome) -> Load:
        return Load(
            tenant_id=self.target.tenant_id,
            id=self.load_id,
            started=outcome.started[0],
            importer=self.importer.name,
            source=outcome.scope.source,
            delivery=self.delivery.name,
            actor=self.requester.actor,
            quality=outcome.report.to_json(),
        )

    def _result(self, outcome: _Outcome, snapshot: int | None) -> LoadResult:
        return LoadResult(
            load_id=self.load_id,
            importer=self.importer.name,
            source=outcome.scope.source,
            practices=sorted(outcome.report.practices),
            snapshot=snapshot,
            identities=outcome.changes.written,
            unchanged=snapshot is None and not outcome.changes,
            report=outcome.report,
            seconds=time.perf_counter() - outcome.started[1],
        )

    def _audit_entry(self, result: LoadResult) -> audit.Entry:
        who = self.requester
        return audit.Entry(
            action="records.load",
            resource=f"load/{result.load_id}",
            actor=who.actor,
            role=who.role,
            organisation=who.organisation,
            purpose=who.purpose,
            practices=result.practices,
            request_id=who.request_id,
            detail={
                "source": result.source,
                "importer": result.importer,
                "snapshot": result.snapshot,
                "unchanged": result.unchanged,
                "identities": result.identities,
                "rows": {table: counts.kept for table, counts in result.report.tables.items()},
            },
        )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """All that the transaction needs."""

    scope: Scope
    tally: Tally
    changes: IdentityChanges
    report: QualityReport
    standing: Mapping[str, SourceState]
    started: tuple[datetime, float]

    def replacements(self) -> Iterable[Replacement]:
        """The files of each practice, with the date its records run to."""
        for practice in sorted(self.report.practices):
            own = [file for file in self.tally.files if file.practice == practice]
            yield Replacement(practice, self.scope.source, self.report.practices[practice].records_to, own)
