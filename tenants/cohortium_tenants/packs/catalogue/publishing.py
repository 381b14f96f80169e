"""Taking a version in: a file that anybody may have sent, read apart, its signature and name checked, then its checks.

Not here: how a file is read within limits (`cohortium_platform.examining`), and what people decide of a version
(`deciding`).
"""

from __future__ import annotations

import datetime as dt
import re

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from cohortium_platform.errors import Conflict
from cohortium_platform.examining import Described, Examined, Refused, check_file, describe_file
from cohortium_plugins.installed import installed_packs
from cohortium_tenants.packs.catalogue.changes import Actor, note
from cohortium_tenants.packs.catalogue.models import PackContent, PackVersion, Source, VersionState
from cohortium_tenants.packs.catalogue.publishers import keys_in_force

__all__ = ["MOST_BYTES", "check_version", "keep_outcome", "publish"]

_ID = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,39}")
_LONGEST_TITLE = 200
MOST_BYTES = 16 * 2**20
"""Of a file; a pack of fifty thousand codes has about one MiB."""


def publish(session: Session, content: bytes, *, by: Actor) -> PackVersion:
    """Enter a signed file as a version that waits for its checks. A file that is there already gives its version.

    Raises `Refused` for a file that cannot be read within its limits or that no key in force of its publisher has
    signed, and `Conflict` for other content under a version that exists.
    """
    if len(content) > MOST_BYTES:
        raise Refused(f"The file is larger than {MOST_BYTES // 2**20} MiB.", "Build the pack anew, and upload that.")
    keys = keys_in_force(session)
    asked = {key.key_id: (publisher, key.public_key) for publisher, some in keys.items() for key in some}
    found = describe_file(content, asked)
    _check_names(found)
    holders = {key.key_id: key for key in keys.get(found.publisher, ())}
    if not any(name in holders for name in found.signed_by):
        raise Refused(
            f"No key in force of the publisher {found.publisher!r} has signed this file.",
            "Sign it with `cohortium pack sign`, by a key that the operator has added and not revoked.",
        )
    there = session.get(PackVersion, found.content_hash)
    if there is not None:
        return there
    return _enter(session, content, found, by)


def _check_names(found: Described) -> None:
    """Names stand in addresses and in files' names. Raises `Refused`."""
    for what, text, shape in (("id", found.pack, _ID), ("version", found.version, _VERSION)):
        if not shape.fullmatch(text):
            raise Refused(f"The pack's {what} cannot stand in an address.", "Use letters, digits, full stops, hyphens.")
    if not 0 < len(found.title) <= _LONGEST_TITLE:
        raise Refused("The pack's title is missing or too long.", f"Keep it below {_LONGEST_TITLE} characters.")


def _enter(session: Session, content: bytes, found: Described, by: Actor) -> PackVersion:
    taken = select(PackVersion.content_hash).where(PackVersion.pack == found.pack, PackVersion.version == found.version)
    if session.exec(taken).first() is not None:
        raise Conflict(
            f"{found.pack} {found.version} was published with other content.",
            "A version never changes: give this one a new number.",
        )
    owner = session.exec(
        select(PackVersion.publisher).where(PackVersion.pack == found.pack, PackVersion.source == Source.PUBLISHED)
    ).first()
    installed = installed_packs().get(found.pack)
    owner = owner or (None if installed is None else installed.publisher)
    if owner is not None and owner != found.publisher:
        raise Conflict(f"{found.pack} is published by {owner}.", "Give your pack another id.")
    row = PackVersion(
        content_hash=found.content_hash,
        pack=found.pack,
        version=found.version,
        title=found.title,
        publisher=found.publisher,
        definition_hash=found.definition_hash,
        source=Source.PUBLISHED,
        bytes=len(content),
        author=by.id,
        author_name=by.name,
        added=dt.datetime.now(dt.UTC),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # somebody else's upload at this moment
        raise Conflict(f"{found.pack} {found.version} is being published at this moment.", "Look again.") from None
    session.add(PackContent(content_hash=row.content_hash, content=content))
    note(session, by, "published", f"pack/{row.pack}/{row.version}", f"content {row.content_hash}")
    session.flush()
    return row


def check_version(content: bytes) -> Examined:
    """Run a version's checks and golden patients; one that goes beyond its limits has failed them."""
    try:
        return check_file(content)
    except Refused as why:
        finding = {
            "severity": "error",
            "check": "limits",
            "about": "pack",
            "message": why.message,
            "advice": why.advice,
        }
        return Examined(passed=False, findings=[finding], golden={})


def keep_outcome(session: Session, content_hash: str, outcome: Examined) -> PackVersion:
    """Write down how a version's checks went."""
    row = session.get_one(PackVersion, content_hash)
    row.state = VersionState.PASSED if outcome.passed else VersionState.FAILED
    row.findings, row.golden = [dict(each) for each in outcome.findings], dict(outcome.golden)
    row.checked = dt.datetime.now(dt.UTC)
    session.add(row)
    note(session, Actor("service", "Cohortium"), f"checks {row.state}", f"pack/{row.pack}/{row.version}")
    session.flush()
    return row
