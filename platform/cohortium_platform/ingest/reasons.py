"""Why a row is left out, or kept and remarked upon: every sentence a quality report may say of a row.

Here: the sentences. None ever quotes a record. Not here: finding the rows (`people`, `streaming`, `arranging`), and the
sentences of importers, which are their own.
"""

from __future__ import annotations

import enum

__all__ = ["Reason"]


class Reason(enum.StrEnum):
    """One thing that can be wrong with a row."""

    NO_LOCAL_ID = "no local_id"
    NO_PRACTICE = "no practice, and none was named for the delivery"
    UNKNOWN_PRACTICE = "the practice is not one of this tenant's"
    UNNAMED_PRACTICE = "the practice is not one that the delivery says it holds"
    NO_BIRTH_DATE = "no date of birth"
    UNREADABLE_BIRTH_DATE = "the date of birth is not a date"
    BORN_LATER = "the date of birth is after the date the records run to"
    TOO_OLD = "the dates of birth and death make a person of more than 130 years"
    SECOND_ROW = "another row has the same local_id and says otherwise"
    NO_NHS_NUMBER_FOR_MATCHING = "no valid NHS number: a trust's patients are found by it"
    NOT_REGISTERED = "nobody registered with a practice here has this NHS number and date of birth"

    NO_NHS_NUMBER = "no NHS number: known by a local pseudonym"
    BAD_NHS_NUMBER = "the NHS number fails its check digit: known by a local pseudonym"
    CONTRADICTED_NHS_NUMBER = "one NHS number with several dates of birth: each known by a local pseudonym"
    SHARED_NHS_NUMBER = "one person under several local_ids, by NHS number and date of birth: put together"
    UNTRACED_NHS_NUMBER = "the NHS number is not marked as verified"
    SEX_NOT_UNDERSTOOD = "the sex is not understood: left empty"
    ETHNICITY_NOT_UNDERSTOOD = "the ethnic category is not one of the 16+1: left empty"
    IMD_NOT_UNDERSTOOD = "the deprivation decile is not 1 to 10: left empty"
    UNREADABLE_DEATH_DATE = "the date of death is not a date: left empty"
    DIED_BEFORE_BIRTH = "the date of death is before the date of birth"

    DANGLING = "no patient of the delivery has this local_id"
    REJECTED_PATIENT = "its patient was left out"
    NO_DATE = "no date"
    UNREADABLE_DATE = "the date is not a date"
    IMPOSSIBLE_DATE = "the date is before 1850 or after 2199"
    NO_CODE = "no code"
    UNREADABLE_CODE = "the code is not a whole number of digits"
    UNREADABLE_END_DATE = "the end date is not a date"
    ENDS_BEFORE_START = "the registration ends before it starts"

    UNREADABLE_VALUE = "the value is not a number: kept without it"
    IMPOSSIBLE_VALUE = "the value is outside what is possible: kept without it"
    FUTURE_DATE = "dated after the date the records run to: kept, and not seen before its day"
    BEFORE_BIRTH = "dated before the patient's birth: kept"
    BEFORE_1900 = "dated before 1900: kept"
    NO_START_DATE = "the registration has no start date: taken to start at birth"
    DUPLICATE = "an exact duplicate: dropped"
    UNKNOWN_CODE = "the code is no valid SNOMED CT identifier: kept"
    UNLISTED_CODE = "the code is valid but not in the list of known codes: kept"
