"""What stands around the person: social prescribing, caring for someone, ethnic group and language."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.phrases import YEAR, declined_category, ethnic_groups, later_of
from cohortium_plugins.authoring import Indicator, adjustment
from cohortium_plugins.language import case, events, patient, when

__all__ = ["INDICATORS"]

GROUP = "The person"

_referred = events("social-prescribing").where_category("referred")

social_prescribing = Indicator(
    "social-prescribing",
    title="Social prescribing offered in the last 12 months",
    description=(
        "For people with a coded social need: a referral to social prescribing in the last 12 months. It is open to "
        "all, so that anyone referred in that time has met it."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=_referred.in_last(YEAR).exists | events("social-need").exists,
    met=_referred.latest(),
    every=YEAR,
    shows=[_referred.latest().code, _referred.latest().category],
    adjustments=[declined_category("social-prescribing")],
    source="PP4M (Bristol); Wessex Cancer Alliance, March 2026",
    unsure="No list of social needs was found: a tenant fills it, and until then only referrals are seen.",
)

_carer = events("carer-status").latest()

carer_status = Indicator(
    "carer-status",
    title="Carer status known",
    description="Recorded at any time as a carer, or as not one. The latest is shown. Once known it is not due again.",
    group=GROUP,
    cohort=multimorbidity,
    met=_carer,
    shows=[_carer.code, _carer.category],
    source="A proposal of our own",
    unsure="No outside authority asks for it.",
)

NOT_STATED = "Z"
_group, _language = events("ethnicity").latest(), events("preferred-language").latest()
_known = patient.ethnicity != NOT_STATED

ethnicity_and_language = Indicator(
    "ethnicity-and-language",
    title="Ethnic group and preferred language recorded",
    description=(
        "Both an ethnic group (on the registration, or coded) and a preferred language are on record. Once there they "
        "are not due again."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=_language.exists & (_known | _group.exists),
    evidence=[_language, _group],
    shows=[
        later_of(_language, _group)[1],
        case(*(when(condition).then(name) for name, (_, condition) in ethnic_groups.items())),
    ],
    adjustments=[
        adjustment(
            "declined",
            "Would not say, in the last 12 months",
            events("ethnicity-not-stated").where_category("not-stated", "refused").in_last(YEAR).exists,
        )
    ],
    source="Needed to see inequalities",
    unsure="Whether both are asked for is not settled.",
)

INDICATORS = [social_prescribing, carer_status, ethnicity_and_language]
