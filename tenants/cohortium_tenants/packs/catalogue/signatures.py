"""Whose signature a pack's file carries. Not here: keys (`publishers`), files (`cohortium_plugins.packfile`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cohortium_plugins.errors import PackError
from cohortium_plugins.packfile import PackFile, verify
from cohortium_tenants.packs.catalogue.models import PublisherKey

__all__ = ["signer_of", "signers_of"]


def signer_of(file: PackFile, keys: Mapping[str, Sequence[PublisherKey]]) -> str | None:
    """The publisher that the file names and one of whose keys has signed it; None when there is none."""
    publisher = file.pack.publisher
    return publisher if signers_of(file, keys.get(publisher, ())) else None


def signers_of(file: PackFile, keys: Sequence[PublisherKey]) -> Sequence[PublisherKey]:
    """Those of a publisher's keys that have signed the file."""
    found = []
    for key in keys:
        try:
            verify(file, {key.publisher: [key.public_key]})
        except PackError:
            continue
        found.append(key)
    return found
