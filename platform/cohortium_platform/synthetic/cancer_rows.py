"""What cancer leaves in a record: diagnoses, treatment, reviews, summaries.

Here: the event rows that their practices have of cancer patients. Not here: what happened to them (`cancer_care.py`),
and rows that a trust supplies (`trust.py`).
"""

from __future__ import annotations

import functools

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, Codes, Days, Index, Small
from cohortium_platform.synthetic.cancer import OTHER_SITE, SITES, CancerPatients
from cohortium_platform.synthetic.cancer_care import CancerCare, later
from cohortium_platform.synthetic.codes import Sampler, codelist, sampler, sampler_of
from cohortium_platform.synthetic.options import SUPPORT_DISCUSSED, SyntheticOptions
from cohortium_platform.synthetic.outcomes import REVIEW, SUPPORT
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.rows import EventRows

__all__ = ["add_cancer_rows", "diagnosis_sampler"]

FIRST, NEW, RE_ENTERED = 1, 2, 3
# What is mostly coded at each site; the rest of the site's codes follow in the list's order.
_COMMON = {
    "breast": (254837009, 372064008),
    "prostate": (399068003, 254900004, 399490008),
    "colorectal": (363406005, 363351006, 93761005, 269533000),
    "lung": (363358000, 254637007, 254632001, 93880001),
    "melanoma": (372244006, 93655004),
    "lymphoma": (118601006,),
    "gynaecological": (363354003, 363443007, 188192002, 363514001),
    "myeloma": (109989006,),
    "pancreatic": (363418001,),
    "other": (
        399326009, 363518003, 363402007, 363349007, 92814006, 91861009, 428061005, 363478007, 702391001, 93870000,
        363376007, 363375006,
    ),
}  # fmt: skip
# Codes without a site in the list may still name an organ that only one sex has, or a site that has its own group.
_NOT_OTHER = (
    "breast|prostat|ovar|uter|cervi|endometr|vagin|vulv|fallop|placent|penis|testi|scrot|sperm|choriocarc|pregnan"
    "|lung|bronch|melanom|colon|rect|pancrea|lymphom|hodgkin|myelom|in situ|parapsoriasis|child|infan"
)
_NOT_SPREAD = "breast|prostat|ovar|uter|cervix|vagin|vulv|fallop|penis|testi|scrot"
_CODED_AGAIN, _SECONDARY, _HISTORY, _REMISSION = 0.35, 0.12, 0.05, 0.05
_PLAN, _TEAM = 0.35, 0.2
_LATE, _AGAIN, _INVITED = 0.2, 0.35, 0.45


@functools.cache
def diagnosis_sampler(site: int) -> Sampler:
    """Give the sampler of first-line diagnosis codes of a site: primary, and grouped under that site."""
    groups = {term.code: term.category for term in codelist("cancer-tumour-site")}
    name = SITES[site]
    if site == OTHER_SITE:
        allowed = {int(code) for code in np.unique(sampler("cancer-diagnosis", "primary", without=_NOT_OTHER).table)}
        allowed = {code for code in allowed if code not in groups}
    else:
        primary = {term.code for term in codelist("cancer-diagnosis") if term.category == "primary"}
        allowed = {code for code in primary if groups.get(code) == name}
    common = tuple(code for code in _COMMON[name] if code in allowed)
    others = allowed - set(common)
    rest = tuple(term.code for term in codelist("cancer-diagnosis") if term.code in others)
    return sampler_of((*common, *rest), what=f"cancer-diagnosis, {name}")


def _diagnosis_codes(rng: np.random.Generator, site: Small) -> Codes:
    codes = np.zeros(len(site), dtype=np.int64)
    for number in range(len(SITES)):
        mine = site == number
        codes[mine] = diagnosis_sampler(number).draw(rng, int(mine.sum()))
    return codes


def _add(rows: EventRows, person: Index, day: Days, code: Codes | int, *, episode: int = 0) -> None:
    there = day < NEVER
    rows.add(person[there], day[there], code if isinstance(code, int) else code[there], episode=episode)


def _diagnoses(rng: np.random.Generator, rows: EventRows, patients: CancerPatients) -> None:
    """Add first entries, second cancers, later entries of the same site, spread, history and remission."""
    person, size = patients.person, patients.size
    real = ~patients.history_only
    code = _diagnosis_codes(rng, patients.site)
    old = patients.before < NEVER
    first = np.where(real, patients.first, NEVER).astype(np.int32)
    _add(rows, person, patients.before, code, episode=FIRST)
    _add(rows, person, np.where(old, NEVER, first).astype(np.int32), code, episode=FIRST)
    _add(rows, person, np.where(old, first, NEVER).astype(np.int32), code, episode=RE_ENTERED)
    _add(rows, person, patients.second, _diagnosis_codes(rng, patients.second_site), episode=NEW)
    for _ in range(2):
        again = later(rng, first, 20, 1500, _CODED_AGAIN)
        _add(rows, person, again, _diagnosis_codes(rng, patients.site), episode=RE_ENTERED)
    spread = sampler("cancer-diagnosis", "secondary", without=_NOT_SPREAD)
    _add(rows, person, later(rng, first, 60, 2000, _SECONDARY), spread.draw(rng, size))
    history = np.where(real, later(rng, patients.first, 400, 4000, _HISTORY), patients.first).astype(np.int32)
    _add(rows, person, history, sampler("cancer-diagnosis", "history").draw(rng, size))
    remission = later(rng, first, 200, 1500, _REMISSION)
    _add(rows, person, remission, sampler("cancer-diagnosis", "remission").draw(rng, size))


def _treatment(rng: np.random.Generator, rows: EventRows, care: CancerCare) -> None:
    kinds = ("chemotherapy-or-systemic", "radiotherapy", "chemoradiotherapy")
    code = sampler("cancer-treatment", *kinds).draw(rng, len(care.person))
    day = care.treated
    for gap in (21, 21, 28):
        _add(rows, care.person, day, code)
        day = later(rng, day, gap - 3, gap + 4, 0.5)


def _follow_up(rng: np.random.Generator, rows: EventRows, care: CancerCare) -> None:
    """Add reviews, invitations, care plans and the care team.

    Reviews beyond the deciding one come only after the window has closed, or after the deciding one. Nobody but the
    unanswered is invited twice in one QOF year.
    """
    outcomes, person, size = care.outcomes, care.person, len(care.person)
    review = sampler("cancer-care-review").draw(rng, size)
    _add(rows, person, outcomes.review, review)
    closed = np.where(outcomes.unanswered, NEVER, REVIEW.closes(outcomes.diagnosed)).astype(np.int32)
    missed = np.where(outcomes.review == NEVER, closed, NEVER).astype(np.int32)
    _add(rows, person, later(rng, missed, 1, 300, _LATE), review)
    _add(rows, person, later(rng, outcomes.review, 330, 420, _AGAIN), review)
    invitation = sampler("cancer-care-invitation").draw(rng, size)
    before = np.where(outcomes.review < NEVER, outcomes.review - rng.integers(5, 40, size), closed)
    invited = np.where((rng.random(size) < _INVITED) & (before < NEVER), before, NEVER)
    latest = outcomes.diagnosed == care.patients.clock[outcomes.patient]
    invited = np.where(latest & (invited > outcomes.diagnosed), invited, NEVER).astype(np.int32)
    _add(rows, person, invited, invitation)
    _add(rows, person, outcomes.invited, sampler("cancer-care-invitation").draw(rng, size))
    _add(rows, person, outcomes.invited_again, sampler("cancer-care-invitation").draw(rng, size))
    agreed = later(rng, outcomes.diagnosed, 20, 500, _PLAN)
    _add(rows, person, agreed, sampler("care-planning", "plan-agreed").draw(rng, size))
    reviewed = later(rng, agreed, 200, 450, 0.5)
    _add(rows, person, reviewed, sampler("care-planning", "plan-reviewed").draw(rng, size))
    team = later(rng, outcomes.diagnosed, 1, 60, _TEAM)
    _add(rows, person, team, sampler("cancer-care-team").draw(rng, size))
    referred = (outcomes.diagnosed - rng.integers(10, 70, size)).astype(np.int32)
    referred = np.where(rng.random(size) < 0.5, referred, NEVER).astype(np.int32)
    _add(rows, person, referred, sampler("suspected-cancer-referral").draw(rng, size))


def _support(rng: np.random.Generator, rows: EventRows, care: CancerCare, code: int) -> None:
    """Add "support discussed" under the tenant's own code; some who missed the window get it late."""
    outcomes = care.outcomes
    _add(rows, care.person, outcomes.support, code)
    missed = np.where(outcomes.support == NEVER, SUPPORT.closes(outcomes.diagnosed), NEVER).astype(np.int32)
    missed = np.where(outcomes.unanswered, NEVER, missed).astype(np.int32)
    _add(rows, care.person, later(rng, missed, 1, 300, _LATE), code)


def add_cancer_rows(options: SyntheticOptions, block: Block, rows: EventRows, care: CancerCare) -> None:
    """Add all rows of a block's cancer patients that their practice has."""
    rng = stream(options, block.number, Stage.CANCER_ROWS)
    _diagnoses(rng, rows, care.patients)
    _treatment(rng, rows, care)
    _follow_up(rng, rows, care)
    code = options.local_codes.get(SUPPORT_DISCUSSED)
    if code is not None:
        _support(rng, rows, care, code)
    for day, name in ((care.summary, "end-of-treatment-summary"), (care.needs, "holistic-needs-assessment")):
        own = np.where(care.only_by_trust, NEVER, day).astype(np.int32)
        _add(rows, care.person, own, sampler(f"cancer-{name}").draw(rng, len(own)))
