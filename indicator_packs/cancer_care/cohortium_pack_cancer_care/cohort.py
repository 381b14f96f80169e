"""Who is in the cancer care registry, and which diagnosis starts a clock.

Not here: what is looked at for them (the modules of indicators).
"""

from __future__ import annotations

from datetime import date

from cohortium_plugins.authoring import Cohort, Reference, reason
from cohortium_plugins.language import category, code, entry_date, episode, events, patient

__all__ = ["QOF_START", "cancer_cohort", "diagnosis", "new_diagnosis"]

QOF_START = date(2003, 4, 1)
"""The first day whose cancers QOF counts (CAN001)."""

# QOF counts entries marked first or new. Where the feed has lost the episode type, the dates alone decide; whom that
# may have added the reference lists.
_register = events("cancer-diagnosis").where(episode.is_missing | episode.is_in("first", "new"))

diagnosis = _register.on_or_after(QOF_START).earliest()
"""The entry that makes someone a member."""

new_diagnosis = (
    events("cancer-diagnosis")
    .where_category("primary")
    .first_of_each("cancer-tumour-site")
    .on_or_after(QOF_START)
    .latest()
)
"""The latest diagnosis that starts a clock: the first entry of a tumour site, or one marked first or new. History,
remission and secondary rows never do. It may be absent for a member."""

_counted = _register.on_or_after(QOF_START)
_coded_before = events("cancer-diagnosis").where(entry_date < QOF_START).exists
_more_than_history = _counted.where(category.is_missing | (category != "history")).exists
_episode_missing = _coded_before & diagnosis.episode.is_missing

qof_register = Reference(
    "qof-cancer-register",
    title="QOF cancer register",
    members=patient.is_registered & _more_than_history & ~_episode_missing,
    coded=events("cancer-diagnosis").exists,
    reasons=[
        reason(
            "episode-type-missing",
            "Also coded before 1 April 2003, and the feed carries no episode type",
            diagnosis.exists & _episode_missing,
        ),
        reason(
            "history-code-only",
            "Every entry that counts is a history of cancer, typed on a day of its own",
            diagnosis.exists & ~_more_than_history,
        ),
        reason(
            "review-or-end-only",
            "Every entry since 1 April 2003 is marked as a review or the end of an episode",
            ~diagnosis.exists & events("cancer-diagnosis").on_or_after(QOF_START).exists,
        ),
        reason("coded-before-april-2003", "Coded before 1 April 2003 only", ~diagnosis.exists & _coded_before),
    ],
    source="QOF 2024/25 CAN001, business rules",
    unsure=(
        "No source says on which side QOF puts people whose entries carry no episode type, or a history code alone; "
        "both are listed here as not on its register."
    ),
)

cancer_cohort = Cohort(
    "cancer-care",
    title="People living with and beyond cancer",
    description=(
        "Everyone registered and alive with a cancer diagnosis recorded on or after 1 April 2003, whatever their age. "
        "Cancer does not resolve: people in remission stay. Non-melanotic skin cancer is not counted."
    ),
    members=patient.is_registered & diagnosis.exists,
    since=diagnosis.date,
    origin=diagnosis,
    shows=[diagnosis.code, events("cancer-tumour-site").where(code == diagnosis.code).latest().category],
    reference=qof_register,
    source="QOF 2024/25 CAN001, NICE IND250",
)
