"""What a definition means, as data: the nodes of rules, and what a pack defines with them."""

from cohortium_plugins.model.definition import (
    Adjustment,
    Code,
    Codelist,
    Cohort,
    Definition,
    Indicator,
    Parameter,
    Reason,
    Reference,
    Shown,
    Stratifier,
)
from cohortium_plugins.model.values import Conversion, Duration, Scalar, Status, Unit, ValueType

__all__ = [
    "Adjustment",
    "Code",
    "Codelist",
    "Cohort",
    "Conversion",
    "Definition",
    "Duration",
    "Indicator",
    "Parameter",
    "Reason",
    "Reference",
    "Scalar",
    "Shown",
    "Status",
    "Stratifier",
    "Unit",
    "ValueType",
]
