"""Every mutant of the pack must fail a golden patient; those that nothing can tell apart are listed with the reason."""

import pytest

from cohortium_pack_cancer_care import pack
from cohortium_plugins.golden import read_files
from cohortium_plugins.golden.mutants import mutants_of, survivors
from cohortium_plugins.model import nodes

definition = pack.definition
cohort = definition.cohorts[0]
reference = cohort.reference
owners = {owner.name: owner for owner in (cohort, reference, *definition.indicators, *definition.stratifiers)}
cases = [case for file in read_files(pack.golden) for case in file.cases]
settled = frozenset(nodes.walk(cohort.members, cohort.since))
"""Parts of the cohort's own rules; they are changed there, not again in every indicator that uses them."""

EVERY = "`every=` asks for a row and for its date; without a row the date is unknown, and unknown is not met"
ONE_CATEGORY = "all rows have the one code asked for, so they have one category, whichever row is picked"
IN_ORDER = "reasons are looked at in order, and whoever comes this far is settled by those before"
EQUIVALENT = {
    "qof-cancer-register: part 2 left out #bf659ed3": IN_ORDER,
    "qof-cancer-register: part 1 left out #dbe22ced": IN_ORDER,
    "qof-cancer-register: and to or #ff5ebe26": IN_ORDER,
    "qof-cancer-register: part 1 left out #6d92cfbe": IN_ORDER,
    "qof-cancer-register: part 2 left out #c28cbf7c": IN_ORDER,
    "adherence-care-plan: part 1 left out #1fe408c1": EVERY,
    "alcohol-use-screening: part 1 left out #a1faa123": EVERY,
    "bowel-screening: part 1 left out #ce2b38e5": EVERY,
    "breast-screening: part 1 left out #77dbf8ae": EVERY,
    "medication-review: part 1 left out #0a7a3455": EVERY,
    "cancer-care: latest to earliest #5e593b0b": ONE_CATEGORY,
    "tumour-site: latest to earliest #603eef22": ONE_CATEGORY,
    "age-band: 0.0 to -1.0 #f81bfc5f": "nobody who is registered is younger than 0",
    "depression-and-anxiety-screening: filter left out #2ec5b65e": (
        "any other entry of the list in the last 12 months meets the indicator, which is tested before adjustments"
    ),
    "smoking-status-and-advice: filter left out #ef0ac779": (
        "advice given to a smoker in the last 12 months, with a status in date meets the indicator, tested first"
    ),
}


@pytest.mark.parametrize("name", owners)
def test_every_mutant_fails_a_golden_patient(name):
    owner = owners[name]
    made = list(mutants_of(owner, () if owner in (cohort, reference) else settled))
    assert len({mutant.id for mutant in made}) == len(made)
    speak = [
        case
        for case in cases
        if (any(r.indicator == name for r in case.results) if owner in definition.indicators else case.member)
    ]
    alive = {mutant.id for mutant in survivors(definition, made, speak)}
    listed = {id_ for id_ in EQUIVALENT if id_.startswith(f"{name}: ")}
    assert alive - listed == set(), "no golden patient tells these from the rule: write one"
    assert listed - alive == set(), "these are told apart now, or their rule has changed: take them off the list"


def test_the_list_names_only_rules_of_the_pack():
    assert {id_.partition(": ")[0] for id_ in EQUIVALENT} <= set(owners)
