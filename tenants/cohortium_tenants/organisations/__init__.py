"""A tenant's organisations: a dated graph, since a practice belongs to a PCN, a federation and a team at once.

Here: organisations, what belongs to what and since when, and who took over from whom. Not here: what an organisation's
people may see, which follows from sharing agreements and roles, never from the graph alone.
"""

from cohortium_tenants.organisations.graph import Member, Node, OrganisationGraph, Succession
from cohortium_tenants.organisations.models import (
    PROVIDERS,
    Organisation,
    OrganisationType,
    Relationship,
    RelationshipKind,
    Successor,
)
from cohortium_tenants.organisations.service import (
    NewOrganisation,
    close,
    create,
    end_relationship,
    load_graph,
    relate,
    succeed,
)

__all__ = [
    "PROVIDERS",
    "Member",
    "NewOrganisation",
    "Node",
    "Organisation",
    "OrganisationGraph",
    "OrganisationType",
    "Relationship",
    "RelationshipKind",
    "Succession",
    "Successor",
    "close",
    "create",
    "end_relationship",
    "load_graph",
    "relate",
    "succeed",
]
