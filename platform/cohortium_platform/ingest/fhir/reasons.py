"""Why something was refused, left out or remarked upon.

Here: the closed list of reasons that a finding about single resources can give. A reason is fixed text, so that no
finding can quote a record. Not here: where they are given.
"""

from __future__ import annotations

import enum

from cohortium_plugins.importing import Severity

__all__ = ["SEVERITY", "WORDS", "Fate", "Reason"]


class Fate(enum.IntEnum):
    """What becomes of a row that a resource gave."""

    STAGED = 0
    REJECTED = 1
    LEFT_OUT = 2
    """As it should be: the resource itself says that what it holds did not happen."""


class Reason(enum.IntEnum):
    """A reason as it is kept beside a row while the delivery is read."""

    # Rows that are rejected.
    NO_SNOMED = 1
    BAD_SNOMED = 2
    NO_DATE = 3
    BAD_DATE = 4
    NO_PATIENT = 5
    DANGLING_PATIENT = 6
    AMBIGUOUS_PATIENT = 7
    DANGLING_MEDICATION = 8
    VALUE_ABSENT = 9
    MISSHAPEN = 10
    # Remarks about rows that are kept.
    PARTIAL_DATE = 20
    EXPRESSION = 21
    UNCONFIRMED = 22
    FACT_TWICE = 23
    # Remarks about patients.
    PARTIAL_BIRTH_DATE = 30
    PRACTICE_NOT_FOUND = 32
    DEATH_REMOVED = 33
    DEATH_UNDATED = 34
    GENDER_NOT_UNDERSTOOD = 35
    SEVERAL_NHS_NUMBERS = 36
    NHS_NUMBER_CHANGED = 37
    REPLACED = 38
    # Resources left out because of what they say of themselves; counted, one finding for each type.
    ENTERED_IN_ERROR = 50
    CANCELLED = 51
    NOT_DONE = 52
    REFUTED = 53
    STATED_FALSE = 54
    NO_RESULT_YET = 55
    NOT_ORDERED = 56
    NOT_TAKEN = 57
    PLANNED = 58
    OLDER_VERSION = 59
    REGISTERED_ELSEWHERE = 60


WORDS: dict[Reason, str] = {
    Reason.NO_SNOMED: "no SNOMED CT coding",
    Reason.BAD_SNOMED: "its SNOMED CT coding is no concept identifier",
    Reason.NO_DATE: "no date",
    Reason.BAD_DATE: "its date is not a FHIR date",
    Reason.NO_PATIENT: "it names no patient",
    Reason.DANGLING_PATIENT: "dangling reference: the patient it names is not in the delivery",
    Reason.AMBIGUOUS_PATIENT: "dangling reference: more than one patient in the delivery fits it",
    Reason.DANGLING_MEDICATION: "dangling reference: the medication it names is not in the delivery",
    Reason.VALUE_ABSENT: "its value is stated to be absent",
    Reason.MISSHAPEN: "it does not have the shape of FHIR R4",
    Reason.PARTIAL_DATE: "its date is only a month or a year, and was taken as the first day of it",
    Reason.EXPRESSION: "its code is a post-coordinated expression, of which the focus concept was taken",
    Reason.UNCONFIRMED: "its diagnosis is not confirmed",
    Reason.FACT_TWICE: "the same fact was given as a problem and as an observation, and is kept once",
    Reason.PARTIAL_BIRTH_DATE: "the birth date is only a month or a year, and was taken as the middle of it",
    Reason.PRACTICE_NOT_FOUND: "the general practice it names is not in the delivery or has no ODS code",
    Reason.DEATH_REMOVED: "its death notification was removed: taken as alive",
    Reason.DEATH_UNDATED: "a death without a date: that of its notification, of the record or of the extract stands",
    Reason.GENDER_NOT_UNDERSTOOD: "its gender is not one of FHIR's codes: left empty",
    Reason.SEVERAL_NHS_NUMBERS: "several NHS numbers: the verified or the first one was taken",
    Reason.NHS_NUMBER_CHANGED: "given again with another NHS number: the newest was taken",
    Reason.REPLACED: "the patient is stated to be replaced by another, and was loaded as it stands",
    Reason.ENTERED_IN_ERROR: "entered in error",
    Reason.CANCELLED: "cancelled or a draft",
    Reason.NOT_DONE: "stated as not done",
    Reason.REFUTED: "a refuted diagnosis",
    Reason.STATED_FALSE: "stated to be false or absent",
    Reason.NO_RESULT_YET: "registered without a result",
    Reason.NOT_ORDERED: "neither an order nor a plan",
    Reason.NOT_TAKEN: "stated as not taken",
    Reason.PLANNED: "planned and not begun",
    Reason.OLDER_VERSION: "given again in a newer version",
    Reason.REGISTERED_ELSEWHERE: "an earlier registration with another practice, whose own records tell of it",
}

_FIRST_REMARK = Reason.PARTIAL_DATE

SEVERITY: dict[Reason, Severity] = {
    reason: Severity.REJECTED if reason < _FIRST_REMARK else Severity.WARNING for reason in Reason
}
