"""Patient: who someone is, as far as the tabular extract has columns for it.

Here: NHS number, name, birth, sex, ethnic category, death. Not here: how someone is reached (`contacts`), where they
are registered (`practices`), and what follows from the same patient given twice (`resolving`).
"""

from __future__ import annotations

from typing import NamedTuple

from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.references import NHS_NUMBER, Origin, identity, system_of
from cohortium_platform.ingest.fhir.rows import extension
from cohortium_platform.ingest.fhir.values import Json, birth_day, coding_code, day, text

__all__ = ["Person", "person", "person_key"]

_SEXES = {"male": "male", "female": "female", "other": "indeterminate", "unknown": None, None: None}
_ETHNIC_CATEGORIES = frozenset("ABCDEFGHJKLMNPRSZ")
_NAME_USES = {"official": 0, "usual": 1, None: 2, "temp": 3, "nickname": 4, "anonymous": 5, "maiden": 8, "old": 9}
_NAME_ENDED = 6
_VERIFIED = "01"
_REMOVED = "U"


class Person(NamedTuple):
    """One Patient resource: columns of the extract's `patients`, dates as ISO text.

    `died` without `date_of_death` is a death of which no date at all is known.
    """

    local_id: str
    nhs_number: str | None
    nhs_number_status: str | None
    family_name: str | None
    given_name: str | None
    title: str | None
    date_of_birth: str | None
    sex: str | None
    ethnicity: str | None
    date_of_death: str | None
    died: bool


def person_key(resource: Json, origin: Origin, position: int) -> str:
    """What two resources about one patient share: the id; else the first identifier; else their place."""
    found = identity("Patient", resource, origin)
    if found is not None:
        return found
    for identifier in resource.get("identifier") or ():
        if value := text(identifier.get("value")):
            return f"Patient?{system_of(identifier)}|{value}"
    return f"{origin.scope}#{origin.full_url}" if origin.full_url else f"@{position}"


def person(resource: Json, key: str, updated: str | None) -> tuple[Person, list[Reason]]:
    """Read a Patient. `updated` is the day on which the resource was last changed. Gives the person and remarks."""
    remarks: list[Reason] = []
    number, status = _nhs_number(resource, remarks)
    family, given, title = _name(resource)
    born, partial = birth_day(resource.get("birthDate"))
    if partial is Reason.PARTIAL_BIRTH_DATE:
        remarks.append(partial)
    gender = resource.get("gender")
    if gender not in _SEXES:
        remarks.append(Reason.GENDER_NOT_UNDERSTOOD)
    died, date_of_death = _death(resource, updated, remarks)
    if any(link.get("type") == "replaced-by" for link in resource.get("link") or ()):
        remarks.append(Reason.REPLACED)
    found = Person(
        local_id=text(resource.get("id")) or key,
        nhs_number=number,
        nhs_number_status=status,
        family_name=family,
        given_name=given,
        title=title,
        date_of_birth=born,
        sex=_SEXES.get(gender),
        ethnicity=_ethnicity(resource),
        date_of_death=date_of_death,
        died=died,
    )
    return found, remarks


def _nhs_number(resource: Json, remarks: list[Reason]) -> tuple[str | None, str | None]:
    """The NHS number and its verification status: the verified one, else the first that is not old."""
    found: list[tuple[bool, bool, str, str | None]] = []
    for identifier in resource.get("identifier") or ():
        value = text(identifier.get("value"))
        if value is None or system_of(identifier) != NHS_NUMBER:
            continue
        verification = extension(identifier, "-NHSNumberVerificationStatus") or {}
        status = coding_code(verification.get("valueCodeableConcept") or {})
        old = identifier.get("use") == "old"
        found.append((old, status != _VERIFIED, value.replace(" ", "").replace("-", ""), status))
    if not found:
        return None, None
    if len({number for _, _, number, _ in found}) > 1:
        remarks.append(Reason.SEVERAL_NHS_NUMBERS)
    _, _, number, status = min(found, key=lambda each: each[:2])
    return number, status


def _name(resource: Json) -> tuple[str | None, str | None, str | None]:
    """Family name, given names and title: of the official name, else the usual one, else any that has not ended."""
    names = [name for name in resource.get("name") or () if type(name) is dict]
    if not names:
        return None, None, None
    name = min(names, key=_name_rank)
    given = text(" ".join(name.get("given") or ()))
    title = text(" ".join(name.get("prefix") or ()))
    family = text(name.get("family"))
    if family is None and given is None:
        family = text(name.get("text"))
    return family, given, title


def _name_rank(name: Json) -> int:
    rank = _NAME_USES.get(name.get("use"), _NAME_USES[None])
    return rank + (_NAME_ENDED if "end" in (name.get("period") or {}) else 0)


def _ethnicity(resource: Json) -> str | None:
    """Letter of the 16+1 ethnic categories; nothing when not known (99) or given in another nation's categories."""
    found = extension(resource, "-EthnicCategory") or extension(resource, "-EthnicCategory-1")
    code = coding_code((found or {}).get("valueCodeableConcept") or {})
    return code if code in _ETHNIC_CATEGORIES else None


def _death(resource: Json, updated: str | None, remarks: list[Reason]) -> tuple[bool, str | None]:
    """Whether someone died, and the day. A removed death notification undoes a death, whatever else is said."""
    status, notified = _death_notice(resource)
    stated, partial = day(resource.get("deceasedDateTime"))
    dead = "deceasedDateTime" in resource or resource.get("deceasedBoolean") is True
    if status == _REMOVED:
        if dead:
            remarks.append(Reason.DEATH_REMOVED)
        return False, None
    if stated is not None:
        if partial is not None:
            remarks.append(partial)
        return True, stated
    if dead or (status is not None and resource.get("deceasedBoolean") is not False):
        remarks.append(Reason.DEATH_UNDATED)
        return True, notified or updated
    return False, None


def _death_notice(resource: Json) -> tuple[str | None, str | None]:
    """Status and day of the newest death notification."""
    notices = []
    for each in resource.get("extension") or ():
        if not each.get("url", "").endswith("-DeathNotificationStatus"):
            continue
        parts = {part.get("url"): part for part in each.get("extension") or ()}
        status = coding_code((parts.get("deathNotificationStatus") or {}).get("valueCodeableConcept") or {})
        effective = day((parts.get("systemEffectiveDate") or {}).get("valueDateTime"))[0]
        if status is not None:
            notices.append((effective or "", status))
    if not notices:
        return None, None
    effective, status = max(notices)
    return status, effective or None
