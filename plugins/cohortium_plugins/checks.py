"""What is wrong with a pack, with severity: every check run, the worst first.

Each check and its name is described in `docs/pack-developer/checking-a-pack.md`. Not here: what a pack cannot be built
with at all, which `language`, `named` and `codelists` refuse at the author's line.
"""

from __future__ import annotations

from collections.abc import Iterable

from cohortium_plugins.checking.coverage import check_coverage
from cohortium_plugins.checking.findings import Finding, Severity
from cohortium_plugins.checking.groups import check_groups
from cohortium_plugins.checking.lists import check_lists
from cohortium_plugins.checking.rules import check_rules
from cohortium_plugins.pack import Pack

__all__ = ["Finding", "Severity", "check_pack"]


def check_pack(pack: Pack) -> tuple[Finding, ...]:
    """Run every check over a pack."""
    found: Iterable[Finding] = (
        *check_rules(pack), *check_lists(pack), *check_groups(pack), *check_coverage(pack)
    )  # fmt: skip
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: (order.index(finding.severity), finding.subject, finding.check)))
