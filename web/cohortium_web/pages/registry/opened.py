"""A registry opened for one request: its definition, the results in reach, and what stands at the head of its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from sqlmodel import select

from cohortium_auth.login import Purpose
from cohortium_auth.policy import OF_PATIENTS, OF_PRACTICES, Action, PatientScope, Reach, patients_left_in
from cohortium_platform.errors import NotFound
from cohortium_platform.records import COHORTIUM, GP, RecordStore, records_to, snapshot_current
from cohortium_platform.results import RegistryResults, ResultStore
from cohortium_plugins.model import Indicator
from cohortium_tenants.packs.catalogue.models import PackVersion
from cohortium_web.asking import Asking
from cohortium_web.definitions import Registered
from cohortium_web.pages.registry.filters import Filters
from cohortium_web.pages.registry.views import RecordsTo, Tab
from cohortium_web.words import plural

__all__ = ["OpenedRegistry", "left_in", "open_practices", "open_registry", "source_name"]

_TABS = (
    ("Patients", ""), ("Tiles", "tiles/"), ("Measures", "measures/"), ("Rates", "rates/"), ("Outreach", "outreach/"),
)  # fmt: skip
_RECONCILIATION = ("Reconciliation", "reconciliation/")
_FILES = ("Files", "exports/identifiable/")
_APPOINTMENTS = ("Appointments", "appointments/")
_FILTERED = frozenset({"", "tiles/"})
"""The tabs that show who fits the filters: going from one to the other keeps them."""


@dataclass(frozen=True)
class OpenedRegistry:
    """One registry, for the practices that the request's action is allowed on."""

    asking: Asking
    registered: Registered
    results: RegistryResults
    reach: frozenset[str]

    @property
    def id(self) -> str:
        """The pack's id."""
        return self.registered.pack.id

    @property
    def path(self) -> str:
        """Where its pages begin."""
        return f"/registries/{self.id}/"

    @property
    def title(self) -> str:
        """What it is called."""
        return self.registered.title

    @property
    def index_date(self) -> date:
        """The day its lists stand at."""
        return self.results.index_date

    @property
    def indicators(self) -> Sequence[Indicator]:
        """Its indicators, by group in the pack's order."""
        order = {group: position for position, group in enumerate(self.groups)}
        return sorted(self.registered.definition.indicators, key=lambda indicator: order[indicator.group])

    @property
    def groups(self) -> Sequence[str]:
        """Groups of indicators, in the pack's order."""
        return self.registered.pack.groups

    def shown(self, code: int | None, text: str | None) -> str:
        """The value shown beside a member: a stratum's words where the text is one, else a code's term."""
        return self._stratum_words.get(text or "", text or "") or self.registered.term(code)

    @cached_property
    def _stratum_words(self) -> Mapping[str, str]:
        stratifiers = self.registered.definition.stratifiers
        return {value: words for stratifier in reversed(stratifiers) for value, words in stratifier.labels}

    def tabs(self, current: str, filters: Filters | None = None) -> Sequence[Tab]:
        """The ways to look at it, those that take filters with the filters that are set."""
        has_reference = any(cohort.reference is not None for cohort in self.registered.definition.cohorts)
        kept = "" if filters is None else filters.on_page(1).at("")
        has_reviews = any(stratifier.name == "reviews-needed" for stratifier in self.registered.definition.stratifiers)
        optional = (
            (_APPOINTMENTS, has_reviews),
            (_RECONCILIATION, has_reference),
            (_FILES, self.asking.who.purpose is not Purpose.DIRECT_CARE),
        )
        tabs = (*_TABS, *(tab for tab, shown in optional if shown))
        return [
            Tab(title, self.path + where + (kept if where in _FILTERED else ""), where == current)
            for title, where in tabs
        ]

    @property
    def withdrawn(self) -> PackVersion | None:
        """The version that these results come from, when it was withdrawn: its row says why."""
        session, evaluation = self.asking.session, self.results.evaluation
        row = session.exec(
            select(PackVersion).where(PackVersion.pack == self.id, PackVersion.version == evaluation.version)
        ).first()
        return row if row is not None and row.withdrawn is not None else None

    def scope(self, people: int) -> str:
        """How many people of how many practices, and which practices have no results yet."""
        missing = sorted(self.asking.name_of(code) for code in self.reach - self.results.practices)
        said = f"{plural(people, 'patient')} of {plural(len(self.results.practices), 'practice')}."
        return said + (f" No results yet from {_listed(missing)}." if missing else "")

    @cached_property
    def days(self) -> Mapping[tuple[str, str], date]:
        """The day that records run to, by practice and source, at the snapshot that the results were made of."""
        with self.asking.timed("records-to"):
            found: dict[tuple[str, str], date] = {}
            for snapshot in sorted(set(self.results.snapshots.values())):
                some = [practice for practice, number in self.results.snapshots.items() if number == snapshot]
                found.update(records_to(self.asking.session, snapshot, some))
            return found

    @property
    def records_to(self) -> Sequence[RecordsTo]:
        """How far the records of each source run."""
        return _by_source(self.asking, self.days)

    def records_of(self, practice: str) -> Sequence[RecordsTo]:
        """The same for one practice."""
        return _by_source(self.asking, {key: day for key, day in self.days.items() if key[0] == practice})


def open_registry(asking: Asking, pack: str) -> OpenedRegistry:
    """Open a registry of the tenant, for the practices and the patients that this person may see there.

    Raises `NotFound` when it is not enabled or has no results in reach.
    """
    with asking.timed("definition"):
        registered = asking.registry(pack)
    reach = asking.reach_of(pack, asking.action if asking.action in OF_PRACTICES else Action.VIEW_REGISTRY)
    return open_practices(asking, registered, reach)


def open_practices(asking: Asking, registered: Registered, reach: Reach) -> OpenedRegistry:
    """Open a registry for a reach that was decided, narrowed to the patients that its decision leaves in. Where the
    version was exchanged since this request read it, it is read again: definition and results are of one version.
    """
    with asking.timed("results"):
        store = ResultStore(asking.site.settings.store_root, asking.who.tenant_id)
        try:
            results = RegistryResults(asking.session, asking.site.results, store, registered.pack.id, reach.practices)
        except NotFound:
            raise NotFound(
                "This registry has nothing to show at the moment.",
                "It was never worked out for these practices, or is being worked out anew. Look again in a while.",
            ) from None
        if results.evaluation.version != registered.pack.version:
            registered = asking.site.definitions.of_tenant(asking.session).get(registered.pack.id, registered)
        left = left_in(asking, reach, results.members)
        if left is not None:
            windowed = [i.name for i in registered.definition.indicators if i.due is not None and i.renews is None]
            results = results.narrowed(left, windowed)
    return OpenedRegistry(asking, registered, results, reach.practices)


def left_in(asking: Asking, reach: Reach, patients: Callable[[], Sequence[int]]) -> Collection[int] | None:
    """Which of these patients a reach's decision leaves in: None for all of them."""
    if not reach.decision.obligations & OF_PATIENTS:
        return None
    scope = PatientScope(
        asking.session,
        RecordStore(asking.site.settings.store_root, asking.who.tenant_id),
        asking.site.results.cursor(),
        snapshot_current(asking.session),
        asking.who.organisation,
        asking.on,
    )
    return patients_left_in(scope, reach.decision.obligations, patients())


def _by_source(asking: Asking, days: Mapping[tuple[str, str], date]) -> Sequence[RecordsTo]:
    """By source: the day that most practices' records run to, and the practices whose records end earlier."""
    by_source: dict[str, dict[str, date]] = {}
    for (practice, source), day in days.items():
        by_source.setdefault(source, {})[practice] = day
    found = []
    for source, by_practice in sorted(by_source.items(), key=lambda item: (item[0] != GP, item[0])):
        latest = max(Counter(by_practice.values()).most_common(), key=lambda item: (item[1], item[0]))[0]
        behind = [(asking.name_of(practice), day) for practice, day in sorted(by_practice.items()) if day < latest]
        found.append(RecordsTo(source_name(asking, source), latest, behind))
    return found


def source_name(asking: Asking, source: str) -> str:
    """What a source of records is called on a page."""
    if source == GP:
        return "GP records"
    return "Entered in Cohortium" if source == COHORTIUM else asking.name_of(source)


def _listed(names: Sequence[str]) -> str:
    most = 3
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
