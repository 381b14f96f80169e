"""Finding packs: each version that there is, whichever way it came, and the pack in its file.

Installed distributions' packs are entered here as versions of the operator's own, so that there is one way to find a
pack. Not here: taking in files (`publishing`), and what is decided of a version (`deciding`).
"""

from __future__ import annotations

import datetime as dt
import difflib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from cohortium_platform.errors import CohortiumError, NotFound
from cohortium_plugins.installed import installed_packs
from cohortium_plugins.pack import Pack
from cohortium_plugins.packfile import build, read
from cohortium_tenants.packs.catalogue.models import PackContent, PackVersion, Source, VersionState
from cohortium_tenants.packs.catalogue.publishers import OPERATOR

__all__ = ["content_of", "enter_installed", "find_pack", "find_version", "pack_of", "versions_of"]

_MOST_KEPT = 24
_kept: OrderedDict[str, Pack] = OrderedDict()
_lock = threading.Lock()


def find_pack(session: Session, pack_id: str, version: str = "") -> Pack:
    """Give a version of a pack; without one, the newest that may be enabled or, for want of that, the newest there is.
    Raises `NotFound` with the nearest name.
    """
    return pack_of(session, find_version(session, pack_id, version))


def find_version(session: Session, pack_id: str, version: str = "") -> PackVersion:
    """The catalogue's row of it. Raises `NotFound` with the nearest name."""
    enter_installed(session)
    found = versions_of(session, pack_id)
    if not found:
        known = sorted(set(session.exec(select(PackVersion.pack).distinct())))
        near = difflib.get_close_matches(pack_id, known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known) or 'none'}."
        raise NotFound(f"No pack is called {pack_id}.", advice)
    if not version:
        return next((row for row in found if row.state == VersionState.PASSED and row.withdrawn is None), found[0])
    for row in found:
        if version in {row.version, row.content_hash}:
            return row
    raise NotFound(f"{pack_id} has no version {version}.", f"There are: {', '.join(row.version for row in found)}.")


def versions_of(session: Session, pack_id: str = "") -> Sequence[PackVersion]:
    """Versions of one pack or of all, the newest of each pack first."""
    query = select(PackVersion).order_by(
        col(PackVersion.pack), col(PackVersion.added).desc(), col(PackVersion.version).desc()
    )
    return session.exec(query.where(PackVersion.pack == pack_id) if pack_id else query).all()


def pack_of(session: Session, row: PackVersion) -> Pack:
    """The pack that a version is, as its file says; what an installed distribution holds of it is the same."""
    if row.source == Source.INSTALLED:
        installed = installed_packs().get(row.pack)
        if installed is not None and (installed.version, installed.hash) == (row.version, row.definition_hash):
            return installed
    with _lock:
        if row.content_hash in _kept:
            _kept.move_to_end(row.content_hash)
            return _kept[row.content_hash]
    file = read(content_of(session, row.content_hash))
    if file.hash != row.content_hash:
        raise CohortiumError(f"The file of {row.pack} {row.version} is not what was published.", "Restore a backup.")
    pack = replace(file.pack, version=row.version)
    with _lock:
        _kept[row.content_hash] = pack
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return pack


def content_of(session: Session, content_hash: str) -> bytes:
    """The file of a version. Raises `NotFound`."""
    found = session.get(PackContent, content_hash)
    if found is None:
        raise NotFound("There is no such version.", "Choose one from the catalogue.")
    return found.content


def enter_installed(session: Session) -> None:
    """Enter what installed distributions hold and the catalogue does not know yet. One whose content was changed while
    its version stayed is entered as a version of its own, so that what was enabled stays what it was.
    """
    contents = _contents()
    hashes = [digest for _, digest in contents.values()]
    known = set(session.exec(select(PackVersion.content_hash).where(col(PackVersion.content_hash).in_(hashes))))
    for pack_id, (content, digest) in contents.items():
        if digest not in known:
            _enter(session, installed_packs()[pack_id], content, digest)


def _enter(session: Session, pack: Pack, content: bytes, digest: str) -> None:
    taken = session.exec(
        select(PackVersion.content_hash).where(PackVersion.pack == pack.id, PackVersion.version == pack.version)
    ).first()
    row = PackVersion(
        content_hash=digest,
        pack=pack.id,
        version=pack.version if taken is None else f"{pack.version}+{digest[:8]}",
        title=pack.title,
        publisher=OPERATOR,
        definition_hash=pack.hash,
        source=Source.INSTALLED,
        bytes=len(content),
        author=OPERATOR,
        author_name="The operator of this installation",
        added=dt.datetime.now(dt.UTC),
        state=VersionState.PASSED,
    )
    values = {name: getattr(row, name) for name in PackVersion.model_fields}
    session.connection().execute(insert(PackVersion).values(values).on_conflict_do_nothing())
    kept = {"content_hash": digest, "content": content}
    session.connection().execute(insert(PackContent).values(kept).on_conflict_do_nothing())


@cache
def _contents() -> Mapping[str, tuple[bytes, str]]:
    """What each installed pack is as a file, and its hash; made once a process."""
    found = {}
    for pack_id, pack in installed_packs().items():
        content = build(pack)
        found[pack_id] = (content, read(content).hash)
    return found
