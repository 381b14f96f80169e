"""One patient opened for one request: their row, results, identity and, when needed, their record.

Here also: the check that the person may, which every page about a patient passes. Not here: what pages show of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cohortium_auth.breakglass import open_until
from cohortium_auth.login import Purpose
from cohortium_auth.patterns import name_flags
from cohortium_auth.policy import Decision, Reach
from cohortium_platform import identities
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.explain import load_record
from cohortium_platform.errors import NotFound
from cohortium_platform.identities import Identity
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.results import ListRow
from cohortium_plugins.record import GP, Record, Result
from cohortium_tenants.sensitive import sensitive_codes, without_codes
from cohortium_web.asking import Asking, Refused, patient_hash
from cohortium_web.pages.patient.views import Banner
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.opened import OpenedRegistry, open_practices, open_registry

__all__ = ["OpenedPatient", "open_elsewhere", "open_patient"]

_NEXT_OF_KIN = "N"


@dataclass(frozen=True)
class OpenedPatient:
    """A patient of a registry whom the person asking may see."""

    registry: OpenedRegistry
    row: ListRow
    results: Sequence[Result]
    path: str

    @cached_property
    def opened_until(self) -> datetime | None:
        """When the time is over for somebody who opened the patient by break-glass; None for one in reach."""
        asking = self.registry.asking
        if "broken-glass" not in asking.decision.policy_ids.split():
            return None
        return open_until(asking.session, asking.who, patient_hash(asking.keys, self.row.patient_id))

    @cached_property
    def identity(self) -> Identity:
        """Who they are; empty when their practice supplied nothing."""
        asking = self.registry.asking
        with asking.timed("identities"):
            found = identities.open_many(
                asking.session, asking.keys, [self.row.patient_id], practices=self.registry.results.practices
            )
        return found.get(self.row.patient_id, Identity())

    @cached_property
    def record(self) -> Record:
        """Their record as the results saw it: the same snapshot, with what was entered here since. Entries with
        sensitive codes are in it only for people of the practice whose own system recorded them, for direct care.
        """
        asking, results = self.registry.asking, self.registry.results
        with asking.timed("record"):
            store = RecordStore(asking.site.settings.store_root, asking.who.tenant_id)
            source = CatalogueSource(
                asking.session, store, results.snapshots[self.row.practice], entries=snapshot_current(asking.session)
            )
            found = load_record(
                asking.site.results.cursor(),
                source,
                self.row.practice,
                self.row.patient_id,
                extracts=store.extracts,
            )
            own = asking.who.purpose is Purpose.DIRECT_CARE and asking.who.organisation == self.row.practice
            return without_codes(found, sensitive_codes(asking.session), shown_of=GP if own else None)

    def banner(self) -> Banner:
        """What stands at the head of their page."""
        row, identity = self.row, self.identity
        kin = [contact for contact in identity.contacts if contact.relationship == _NEXT_OF_KIN]
        return Banner(
            name=identity.name or "Name not known",
            nhs_number=identity.nhs_number,
            born=identity.date_of_birth,
            age=row.age,
            sex=row.sex or "",
            practice=self.registry.asking.name_of(row.practice),
            address=", ".join(part for part in (identity.address, identity.postcode) if part),
            telephones=[number for number in (identity.telephone, identity.mobile) if number],
            next_of_kin=[" ".join(part for part in (contact.name, contact.value) if part) for contact in kin],
            condition=self.registry.shown(row.shown_code, row.shown_text),
            since=row.since,
        )

    def record_view(self, shown: str, **detail: object) -> None:
        """Write the audit entry of a page about them."""
        flags = name_flags(self.registry.asking.who.display_name, self.identity)
        if flags:
            detail["flags"] = list(flags)
        self.registry.asking.record(
            f"registry/{self.registry.id}/patient",
            practices=[self.row.practice],
            patients=[self.row.patient_id],
            detail={"shown": shown, "index_date": self.registry.index_date.isoformat(), **detail},
        )


def open_patient(asking: Asking, pack: str, reference: str) -> OpenedPatient:
    """Open a patient by the reference in an address, when the policies allow it.

    Raises `NotFound` for anyone else, whether they exist or not; a patient who was asked for in vain is recorded.
    """
    resource = f"registry/{pack}/patient"
    patient_id = PatientReferences(asking.keys).read(reference)
    try:
        registry = open_registry(asking, pack)
        with asking.timed("results"):
            row, results = registry.results.patient(patient_id)
        asking.check_practice(row.practice, resource=resource, patients=[patient_id])
    except (NotFound, Refused):
        registry, row, results = _outside_reach(asking, pack, patient_id)
    return OpenedPatient(registry, row, results, f"/registries/{pack}/patients/{reference}/")


def open_elsewhere(patient: OpenedPatient) -> Sequence[OpenedPatient]:
    """The same patient in each other registry that this person may see them in. One opened by break-glass was opened in
    one registry.
    """
    asking = patient.registry.asking
    if patient.opened_until is not None:
        return ()
    reference = PatientReferences(asking.keys).write(patient.row.patient_id)
    found = []
    for pack in sorted(asking.registries):
        if pack == patient.registry.id:
            continue
        try:
            registry = open_registry(asking, pack)
            with asking.timed("results"):
                row, results = registry.results.patient(patient.row.patient_id)
        except NotFound:
            continue
        found.append(OpenedPatient(registry, row, results, f"/registries/{pack}/patients/{reference}/"))
    return found


def _outside_reach(asking: Asking, pack: str, patient_id: int) -> tuple[OpenedRegistry, ListRow, Sequence[Result]]:
    """A patient whom this person has opened by break-glass; for anyone else there is nobody."""
    resource = f"registry/{pack}/patient"
    registered = asking.site.definitions.of_tenant(asking.session).get(pack)
    if registered is None or open_until(asking.session, asking.who, patient_hash(asking.keys, patient_id)) is None:
        asking.refuse(resource, patients=[patient_id])
    everywhere = Reach(frozenset(asking.organisations.practices(asking.on)), Decision(allowed=True, policies=()))
    try:
        row, _ = open_practices(asking, registered, everywhere).results.patient(patient_id)
    except NotFound:
        asking.refuse(resource, patients=[patient_id])
    asking.check_practice(row.practice, resource=resource, patients=[patient_id])
    # What else allows the practice may leave this patient out; the opening is of this patient.
    opened = tuple(policy for policy in asking.decision.policies if policy.id == "broken-glass")
    if not opened:
        asking.refuse(resource, practices=[row.practice], patients=[patient_id])
    asking.decision = Decision(allowed=True, policies=opened)
    registry = open_practices(asking, registered, Reach(frozenset({row.practice}), asking.decision))
    return registry, *registry.results.patient(patient_id)
