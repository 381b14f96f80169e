"""Every mutant of the pack must fail a golden patient; those that nothing can tell apart are listed with the reason.

Not here: reviews that differ from that of asthma in nothing but the condition.
"""

import pytest

from cohortium_pack_multimorbidity_review import pack
from cohortium_plugins.golden import read_files
from cohortium_plugins.golden.mutants import mutants_of, survivors
from cohortium_plugins.model import nodes

definition = pack.definition
first = definition.cohorts[0]
reference = first.reference
ALIKE = (
    "review-atrial-fibrillation",
    "review-chronic-kidney-disease",
    "review-copd",
    "review-coronary-heart-disease",
    "review-dementia",
    "review-depression",
    "review-diabetes",
    "review-heart-failure",
    "review-hypertension",
    "review-stroke-tia",
)
every = (*definition.cohorts, reference, *definition.indicators, *definition.stratifiers)
owners = {owner.name: owner for owner in every if owner.name not in ALIKE}
cases = [case for file in read_files(pack.golden) for case in file.cases]

OF_OTHERS = {"visits-saved": ("reviews-needed", "visits-used"), "combined-appointment": ("reviews-needed",)}
"""Numbers that are changed where they stand alone."""
EVERY = "`every=` asks for a row and for its date; without a row the date is unknown, and unknown is not met"
AGE = "nobody is a member whose age is not known"
DEGREE = "whether someone is severely or moderately frail makes no difference here; the stratifier tells them apart"
MET_FIRST = "any other entry of the list in the last 12 months meets the indicator, which is tested before adjustments"
NO_DIAGNOSIS = "without a diagnosis there is no day to compare with, and what is unknown counts no register"
EQUIVALENT = {
    "qof-registers: part 1 left out #09a20083": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #9bc20f86": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #1113b150": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #4dfbedc1": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #befd4e40": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #b589171d": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #6887d7e7": NO_DIAGNOSIS,
    "qof-registers: part 1 left out #03a70779": NO_DIAGNOSIS,
    "multimorbidity: part 1 left out #0f6a517b": "without arthritis no age at it is known or counted",
    "annual-review: part 1 left out #69b3f14f": EVERY,
    "check-and-test: part 1 left out #7bc80aeb": EVERY,
    "summary-shared: part 1 left out #1ba25a88": EVERY,
    "what-matters: part 1 left out #3dd85f88": EVERY,
    "care-plan-agreed: part 1 left out #fd4e05c3": EVERY,
    "cancer-review: part 1 left out #4646e4a0": EVERY,
    "review-asthma: part 1 left out #b06a91e6": EVERY,
    "review-epilepsy: part 1 left out #12fded42": EVERY,
    "review-peripheral-arterial-disease: part 1 left out #10d3e134": EVERY,
    "review-chronic-liver-disease: part 1 left out #f58ad4c4": EVERY,
    "medication-review: part 1 left out #0a7a3455": EVERY,
    "structured-medication-review: part 1 left out #db57d793": EVERY,
    "hba1c: part 3 left out #b54393d2": "people with diabetes are asked as well, whatever the other register says",
    "hba1c: part 1 left out #88f1f703": EVERY,
    "urine-acr: part 1 left out #bb4556dc": EVERY,
    "bmi: part 1 left out #4dc9077d": EVERY,
    "depression-screening: part 1 left out #289e99cc": "every code of the list has a category",
    "depression-screening: part 1 left out #31df6f57": EVERY,
    "depression-screening: filter left out #2ec5b65e": MET_FIRST,
    "anxiety-screening: part 1 left out #cab45b36": EVERY,
    "alcohol: part 1 left out #a1faa123": EVERY,
    "alcohol: filter left out #507f7369": MET_FIRST,
    "falls-asked: part 1 left out #e56d9b86": EVERY,
    "social-prescribing: part 1 left out #96cb9f13": EVERY,
    "social-prescribing: filter left out #0434b9b3": MET_FIRST,
    "condition-obesity: date left out #607575be": "on the register since the latest BMI, which is the entry shown",
    "frailty: part 1 left out #bf655b57": "the groups before it have taken everyone who is frail or more",
    "age-band: unknown to mutant #3e5a8b33": AGE,
    "age-band: part 2 left out #7ee636af": AGE,
    "multimorbidity-frailty: least to greatest or back #40a10df2": DEGREE,
    "multimorbidity-frailty: part 1 left out #7f7d03d0": DEGREE,
}


def settled(owner):
    """Parts of the rules that are changed in another owner, not again in this one."""
    if owner is reference:
        before = (first,)
    elif owner in definition.cohorts:
        before = definition.cohorts[: definition.cohorts.index(owner)]
    else:
        before = definition.cohorts
    roots = [root for cohort in before for root in (cohort.members, cohort.since)]
    strata = {stratifier.name: stratifier.value for stratifier in definition.stratifiers}
    return frozenset(nodes.walk(*roots, *(strata[name] for name in OF_OTHERS.get(owner.name, ()))))


def spoken(owner):
    """The golden patients that say something of an owner."""
    if owner in definition.indicators:
        return [case for case in cases if any(result.indicator == owner.name for result in case.results)]
    if owner is reference:
        return [case for case in cases if case.member and case.member.reference]
    if owner in definition.cohorts:
        return [case for case in cases if case.member and (case.member.cohort or first.name) == owner.name]
    return [case for case in cases if case.member and owner.name in case.member.strata]


@pytest.mark.parametrize("name", owners)
def test_every_mutant_fails_a_golden_patient(name):
    owner = owners[name]
    made = list(mutants_of(owner, settled(owner)))
    assert len({mutant.id for mutant in made}) == len(made)
    alive = {mutant.id for mutant in survivors(definition, made, spoken(owner))}
    listed = {id_ for id_ in EQUIVALENT if id_.startswith(f"{name}: ")}
    assert alive - listed == set(), "no golden patient tells these from the rule: write one"
    assert listed - alive == set(), "these are told apart now, or their rule has changed: take them off the list"


def test_the_lists_name_only_rules_of_the_pack():
    assert {id_.partition(": ")[0] for id_ in EQUIVALENT} <= set(owners)
    assert set(ALIKE) <= {owner.name for owner in every}
