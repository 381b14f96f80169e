"""What entries would turn an indicator green for a patient, found by trying.

An entry counts only when the interpreter, given the record with it, says `met`; so the advice is never wrong. Nothing
is advised that would change what the record says of the patient (that a smoker does not smoke) or who is a member (a
new diagnosis). Not here: what entries there are to try (`candidates`), the words (`explain`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Sequence
from datetime import date

from cohortium_plugins.candidates import Entry, candidates, outermost_frames, sounds_neutral
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.model.values import Status
from cohortium_plugins.record import Record, Result, Row
from cohortium_plugins.status import result_of

__all__ = ["Entry", "find_remedy", "with_entries"]

MOST_CANDIDATES = 200
"""For one frame."""


def with_entries(record: Record, entries: Iterable[Entry]) -> Record:
    """Give the record with entries added, each after what its table already holds on the day."""
    rows: dict[str, tuple[Row, ...]] = dict(record.rows)
    for entry in entries:
        last = max((row.entry for row in rows.get(entry.table, ())), default=-1)
        rows[entry.table] = (*rows.get(entry.table, ()), dataclasses.replace(entry.row, entry=last + 1))
    return dataclasses.replace(record, rows=rows)


def find_remedy(
    definition: Definition, indicator: Indicator, record: Record, index_date: date
) -> tuple[Entry, ...] | None:
    """Give the fewest entries found that turn the indicator `met`; None when none does.

    They are dated the index date. Where it falls due later, and what is recorded now would no longer count by then,
    they are dated that later day: nobody can have next season's vaccination in summer.
    """
    known = _only_relevant(definition, indicator, record)
    search = _Search(definition, indicator, known, index_date)
    found = search.best()
    now = search.result(())
    if not found or now.status is not Status.DUE or now.due_date is None or now.due_date <= index_date:
        return found
    later = _Search(definition, indicator, known, now.due_date)
    return found if later.turns_green(found) else later.best() or found


class _Search:
    """Tries entries for one indicator and record on one day."""

    def __init__(self, definition: Definition, indicator: Indicator, record: Record, day: date) -> None:
        self.definition, self.indicator = definition, indicator
        self.record = dataclasses.replace(record, records_to=None)  # an entry made now is later than they run
        self.base = Evaluation(self.record, day, definition.codelists)
        result_of(definition, indicator, self.base)
        belonging = {
            node.codelist
            for node in nodes.walk(definition.cohort(indicator.cohort).members)
            if isinstance(node, nodes.Rows) and node.codelist is not None
        }
        frames = [f for f in outermost_frames(indicator.met) if not _stands_on(f, belonging, "registrations")]
        self.offers = {
            frame: list(itertools.islice(candidates(frame, day, definition.codelists), MOST_CANDIDATES))
            for frame in frames
        }
        self.own = {frame: _latest_category(self.base, frame) for frame in frames}

    def evaluation(self, entries: Collection[Entry]) -> Evaluation:
        """Evaluate the record with entries."""

        def changed(rows: nodes.Rows) -> bool:
            known = {} if rows.codelist is None else self.definition.codelists[rows.codelist].by_code
            return any(e.table == rows.name and (rows.codelist is None or e.row.code in known) for e in entries)

        return self.base.following(with_entries(self.record, entries), changed)

    def result(self, entries: Collection[Entry]) -> Result:
        """Give what the indicator says with the entries."""
        return result_of(self.definition, self.indicator, self.evaluation(entries))

    def turns_green(self, entries: Collection[Entry]) -> bool:
        """Tell whether the indicator is met with the entries."""
        return self.result(entries).status is Status.MET

    def best(self) -> tuple[Entry, ...] | None:
        """Give one entry that does; else several, without changing what the record says; else whatever does."""
        return self.one(keep=True) or self.several(keep=True) or self.one(keep=False) or self.several(keep=False)

    def one(self, *, keep: bool) -> tuple[Entry, ...] | None:
        """Find a single entry. With `keep`, none where one like the patient's latest would not do."""
        for frame, offers in self.offers.items():
            good = [entry for entry in offers if self.turns_green([entry])]
            like = [entry for entry in good if entry.category == self.own[frame]]
            changes = self.own[frame] is not None and not like and self.own[frame] in {e.category for e in offers}
            if good and not (keep and changes):
                if like and not sounds_neutral(good[0].category):
                    return (like[0],)
                return (dataclasses.replace(good[0], too_little=self.too_little(frame, offers, good)),)
        return None

    def too_little(self, frame: nodes.Frame, offers: Sequence[Entry], good: Sequence[Entry]) -> tuple[str, ...]:
        """List the categories that the frame takes but that alone do not turn the indicator green."""
        enough = {entry.category for entry in good}
        rest = {entry.category: entry for entry in offers if entry.category not in enough}
        return tuple(c for c, entry in rest.items() if c is not None and self.lets_through(frame, [], entry))

    def several(self, *, keep: bool) -> tuple[Entry, ...] | None:
        """Take what each frame lets through in turn, and leave out again what is not needed."""
        chosen: list[Entry] = []
        for frame, offers in self.offers.items():
            own = self.own[frame]
            wanted = [entry for entry in offers if entry.category == own] if keep and own is not None else offers
            fitting = next((entry for entry in wanted if self.lets_through(frame, chosen, entry)), None)
            if fitting is not None and fitting not in chosen:
                chosen.append(fitting)
        if not chosen or not self.turns_green(chosen):
            return None
        for entry in reversed(list(chosen)):
            rest = [other for other in chosen if other is not entry]
            if self.turns_green(rest):
                chosen = rest
        return tuple(chosen)

    def lets_through(self, frame: nodes.Frame, chosen: Sequence[Entry], entry: Entry) -> bool:
        """Tell whether the frame holds a row for the entry once it is made after those chosen."""
        made = with_entries(self.record, [*chosen, entry]).rows[entry.table][-1]
        rows = self.evaluation([*chosen, entry]).frame(frame).rows
        return any((row.entry, row.date, row.code) == (made.entry, made.date, made.code) for row, _ in rows)


def _stands_on(frame: nodes.Frame, codelists: set[str], table: str) -> bool:
    rows = nodes.rows_of(frame)
    return rows.codelist in codelists or rows.name == table


def _latest_category(evaluation: Evaluation, frame: nodes.Frame) -> str | None:
    rows = evaluation.frame(frame).rows
    return rows[-1][1] if rows else None


def _only_relevant(definition: Definition, indicator: Indicator, record: Record) -> Record:
    """Leave out coded rows that the indicator and its cohort do not look at, to make trying cheap."""
    roots = (*indicator.nodes(), *definition.cohort(indicator.cohort).nodes())
    named = {getattr(node, "codelist", None) for node in nodes.walk(*roots)}
    codes = {code for name in named if name is not None for code in definition.codelists[name].by_code}
    rows = {
        table: tuple(row for row in kept if row.code is None or row.code in codes)
        for table, kept in record.rows.items()
    }
    return dataclasses.replace(record, rows=rows)
