"""Who is in the cancer care registry, and which diagnosis starts a clock.

Not here: what is looked at for them (the modules of indicators).
"""

from __future__ import annotations

from datetime import date

from cohortium_plugins.authoring import Cohort
from cohortium_plugins.language import code, episode, events, patient

__all__ = ["QOF_START", "cancer_cohort", "diagnosis", "new_diagnosis"]

QOF_START = date(2003, 4, 1)
"""The first day whose cancers QOF counts (CAN001)."""

# QOF counts entries marked first or new. Where the feed has lost the episode type, the dates alone decide; whom that
# may have added is the stratifier `qof-register`.
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
    reference="QOF cancer register (CAN001), business rules 2024/25",
    source="QOF 2024/25 CAN001, NICE IND250",
)
