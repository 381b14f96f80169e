"""Rules that contradict themselves or each other: nobody a member, nobody to whom an indicator applies, nobody who can
meet it, everybody who does, parts that are always the same, windows that never hold.

Not here: codelists (`lists`), golden patients (`coverage`).
"""

from __future__ import annotations

from collections.abc import Iterator

from cohortium_plugins.checking.findings import Finding, Severity, place_of
from cohortium_plugins.checking.outcomes import Outcomes, conjuncts
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Indicator
from cohortium_plugins.named import rules_by_name
from cohortium_plugins.pack import Pack
from cohortium_plugins.windows import conflict, conflict_in_frame
from cohortium_plugins.words import Words

__all__ = ["always_met", "check_rules"]

QOF_ORDER = (
    "maximum-tolerated", "unsuitable", "declined", "dissent", "no-response", "diagnosed-recently",
    "registered-recently",
)  # fmt: skip
"""The order in which QOF tests adjustments, by the names that packs give them. Source: business rules, as implemented
for DM020."""
ALWAYS = {True: "always true", False: "never true", None: "always unknown"}


def check_rules(pack: Pack) -> Iterator[Finding]:
    """Look at every cohort and indicator."""
    yield from _check_windows(pack)
    yield from _check_parts(pack)
    for cohort in pack.definition.cohorts:
        yield from _check_cohort(pack, cohort)
    for indicator in pack.definition.indicators:
        yield from _check_indicator(pack, indicator)
        yield from _check_adjustments(pack, indicator)


def _check_windows(pack: Pack) -> Iterator[Finding]:
    for subject, roots in rules_by_name(pack.definition).items():
        frames = (node for node in nodes.walk(*roots) if isinstance(node, nodes.Filter | nodes.Near))
        for message in dict.fromkeys(conflict_in_frame(frame) for frame in frames):
            if message is not None:
                said = f"A frame can never hold a row. {message}"
                yield _error(pack, "window", subject, said, "Swap or widen the bounds.")


def _check_parts(pack: Pack) -> Iterator[Finding]:
    """Find parts of conditions that come to the same whatever the record says."""
    words, outcomes, seen = Words(pack.definition.codelists), Outcomes(), set()
    for subject, roots in rules_by_name(pack.definition).items():
        for node in nodes.walk(*roots):
            if node in seen or not isinstance(node, nodes.And | nodes.Or | nodes.Compare | nodes.Exists):
                continue
            seen.add(node)
            found = outcomes.of(node)
            fixed = all(isinstance(part, nodes.Constant) for part in nodes.children(node))
            if len(found) == 1 and not fixed:
                always = ALWAYS[next(iter(found))]
                message = f"This part is {always}: {words.of(node)}."
                place = place_of(pack, *subject)
                yield Finding(Severity.WARNING, "constant-part", subject, message, "Leave it out or mend it.", place)


def _check_cohort(pack: Pack, cohort: Cohort) -> Iterator[Finding]:
    if not Outcomes().holds(cohort.members):
        why = conflict(conjuncts(cohort.members)) or "Its condition is never true."
        yield _error(pack, "no-member", ("cohort", cohort.name), f"Nobody can be a member. {why}", "Mend members=.")


def _check_indicator(pack: Pack, indicator: Indicator) -> Iterator[Finding]:
    subject = ("indicator", indicator.name)
    members = pack.definition.cohort(indicator.cohort).members
    among_members = Outcomes([members])
    if not among_members.holds(indicator.applies):
        why = conflict([*conjuncts(members), *conjuncts(indicator.applies)]) or "The condition is never true."
        yield _error(pack, "applies-to-nobody", subject, f"It applies to no member. {why}", "Mend applies=.")
        return
    for_whom = Outcomes([members, indicator.applies])
    if not for_whom.holds(indicator.met):
        everything = [*conjuncts(members), *conjuncts(indicator.applies), *conjuncts(indicator.met)]
        why = conflict(everything) or "The condition is never true."
        yield _error(pack, "never-met", subject, f"Nobody can meet it. {why}", "Mend met=.")
    elif always_met(pack, indicator):
        message = "Everyone to whom it applies meets it: the cohort asks for the same."
        yield Finding(
            Severity.ADVICE, "always-met", subject, message, "Right for showing a register, not for measuring care.",
            place_of(pack, *subject),
        )  # fmt: skip


def always_met(pack: Pack, indicator: Indicator) -> bool:
    """Tell whether everyone to whom an indicator applies meets it."""
    members = pack.definition.cohort(indicator.cohort).members
    return Outcomes([members, indicator.applies]).of(indicator.met) == {True}


def _check_adjustments(pack: Pack, indicator: Indicator) -> Iterator[Finding]:
    subject, place = ("indicator", indicator.name), place_of(pack, "indicator", indicator.name)
    members = pack.definition.cohort(indicator.cohort).members
    outcomes = Outcomes([members, indicator.applies])
    for adjustment in indicator.adjustments:
        if not outcomes.holds(adjustment.when):
            message = f"The adjustment {adjustment.name} never holds."
            yield Finding(Severity.WARNING, "adjustment", subject, message, "Leave it out or mend it.", place)
        elif outcomes.of(adjustment.when) == {True}:
            message = f"The adjustment {adjustment.name} holds for everyone: nobody is ever due."
            yield Finding(Severity.WARNING, "adjustment", subject, message, "Mend its condition.", place)
    ranks = [QOF_ORDER.index(item.name) for item in indicator.adjustments if item.name in QOF_ORDER]
    if ranks != sorted(ranks):
        order = ", ".join(QOF_ORDER[rank] for rank in sorted(ranks))
        message = "The adjustments are not in the order in which QOF tests them."
        yield Finding(Severity.ADVICE, "adjustment-order", subject, message, f"QOF tests {order}.", place)


def _error(pack: Pack, check: str, subject: tuple[str, str], message: str, advice: str) -> Finding:
    return Finding(Severity.ERROR, check, subject, message, advice, place_of(pack, *subject))
