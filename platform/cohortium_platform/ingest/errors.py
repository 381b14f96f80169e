"""Errors of loading.

    BadInput
    `-- DeliveryRefused     a delivery cannot be loaded; the tenant is as it was

`records.publish` raises `Conflict` when another load came in between, `Workbench` raises `Unavailable` when memory or
disk is short. Importers raise the SDK's `Unreadable`, which becomes `DeliveryRefused` where a load ends.
"""

from __future__ import annotations

from cohortium_platform.errors import BadInput

__all__ = ["DeliveryRefused"]


class DeliveryRefused(BadInput):
    """A delivery cannot be loaded, and nothing of it was. The message names file and line, never any content."""

    title = "The delivery was refused"
