"""What people decide of a version: clinical safety sign-off (DCB0129), deprecation, withdrawal; and where it stands.

Not here: taking a version in (`publishing`), and what each tenant does with it (`cohortium_tenants.packs.switching`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput, Conflict, Forbidden
from cohortium_plugins.packfile import read
from cohortium_tenants.packs.catalogue.changes import Actor, given, note
from cohortium_tenants.packs.catalogue.models import PackVersion, SignOff, Source, VersionState
from cohortium_tenants.packs.catalogue.publishers import OPERATOR, find_publisher, keys_in_force, keys_of
from cohortium_tenants.packs.catalogue.signatures import signer_of, signers_of
from cohortium_tenants.packs.catalogue.versions import content_of

__all__ = ["NewSignOff", "Standing", "deprecate", "sign_off", "sign_offs_of", "standing_of", "subject_of", "withdraw"]


@dataclass(frozen=True, slots=True)
class NewSignOff:
    """A sign-off as it is written on the form: `role` with the registration that goes with it, `on` which day, and
    where the hazards that were weighed are logged.
    """

    role: str
    on: dt.date
    hazard_log: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands: its sign-offs, who signed its file (None when no key in force did), and every reason why
    it may not be enabled.
    """

    row: PackVersion
    sign_offs: Sequence[SignOff]
    signed_by: str | None
    hindrances: Sequence[str]

    @property
    def may_be_enabled(self) -> bool:
        """Whether a tenant may enable it."""
        return not self.hindrances

    @property
    def word(self) -> str:
        """Where it stands, in a word or two."""
        if self.row.withdrawn is not None:
            return "withdrawn"
        if self.row.state != VersionState.PASSED:
            return "being checked" if self.row.state == VersionState.WAITING else "failed its checks"
        if not self.hindrances:
            return "deprecated" if self.row.deprecated is not None else "can be enabled"
        return "awaits sign-off" if self.signed_by is not None else "signature no longer holds"


def subject_of(row: PackVersion) -> str:
    """How changes and audit entries name a version."""
    return f"pack/{row.pack}/{row.version}"


def sign_offs_of(session: Session, content_hash: str) -> Sequence[SignOff]:
    """The sign-offs of a version, the first first."""
    return session.exec(
        select(SignOff).where(SignOff.content_hash == content_hash).order_by(col(SignOff.recorded))
    ).all()


def standing_of(session: Session, row: PackVersion) -> Standing:
    """Work out where a version stands now: a key may have been revoked since it was taken in."""
    signed_by: str | None = OPERATOR
    if row.source == Source.PUBLISHED:
        signed_by = _signer(session, row)
    found, hindrances = sign_offs_of(session, row.content_hash), []
    if row.state == VersionState.WAITING:
        hindrances.append("Its checks have not been run yet.")
    if row.state == VersionState.FAILED:
        hindrances.append("It failed its checks.")
    if signed_by is None:
        hindrances.append("The key that signed it was revoked.")
    if not found and row.source == Source.PUBLISHED:
        hindrances.append("Nobody has signed it off for clinical safety.")
    if row.withdrawn is not None:
        hindrances.append(f"It was withdrawn: {row.withdrawn_because}")
    return Standing(row, found, signed_by, hindrances)


_verdicts: dict[tuple[str, frozenset[str]], str | None] = {}
"""Who signed a content, by the keys that were asked about: neither ever changes, and reading a file takes long."""


def _signer(session: Session, row: PackVersion) -> str | None:
    keys = keys_in_force(session)
    key = (row.content_hash, frozenset(each.key_id for each in keys.get(row.publisher, ())))
    if key not in _verdicts:
        _verdicts[key] = signer_of(read(content_of(session, row.content_hash)), keys)
    return _verdicts[key]


def sign_off(session: Session, row: PackVersion, new: NewSignOff, *, by: Actor) -> SignOff:
    """Record that somebody other than its author has signed a version off. Raises `Forbidden` for the author, whether
    they brought it in or hold a key that signed it; `Conflict` for what may not be signed off; `BadInput`.
    """
    if row.state != VersionState.PASSED or row.withdrawn is not None:
        raise Conflict("Only a version that passed its checks and was not withdrawn is signed off.", "See its page.")
    if _is_author(session, row, by):
        raise Forbidden(
            "Nobody signs off what they wrote, signed or published themselves.", "Ask another clinical safety officer."
        )
    if any(each.actor == by.id for each in sign_offs_of(session, row.content_hash)):
        raise Conflict("You have signed this version off already.", "Nothing was changed.")
    if new.on > dt.datetime.now(dt.UTC).date():
        raise BadInput("A sign-off is of today or of a day before.", "Correct the day.")
    made = SignOff(
        content_hash=row.content_hash,
        actor=by.id,
        person=by.name,
        role=given(new.role, "The role"),
        on=new.on,
        hazard_log=given(new.hazard_log, "The reference of the hazard log"),
        note=new.note.strip(),
        recorded=dt.datetime.now(dt.UTC),
    )
    session.add(made)
    note(session, by, "signed off", subject_of(row), f"{made.role}; hazard log {made.hazard_log}")
    session.flush()
    return made


def _is_author(session: Session, row: PackVersion, by: Actor) -> bool:
    """One who works in two tenants is two people here, so that names count beside ids."""
    own = {_plain(row.author_name)}
    if row.source == Source.PUBLISHED:
        file = read(content_of(session, row.content_hash))
        own |= {_plain(key.holder) for key in signers_of(file, keys_of(session, row.publisher))}
    return by.id == row.author or _plain(by.name) in own


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def deprecate(session: Session, row: PackVersion, *, why: str, by: Actor) -> None:
    """Say that a version should no longer be chosen; whoever uses it may go on. Raises `Forbidden`, `Conflict`."""
    _check_speaks_for(session, row, by)
    if row.deprecated is not None or row.withdrawn is not None:
        raise Conflict("That version is deprecated or withdrawn already.", "Nothing was changed.")
    row.deprecated, row.deprecated_because = dt.datetime.now(dt.UTC), given(why, "The reason")
    session.add(row)
    note(session, by, "deprecated", subject_of(row), row.deprecated_because)


def withdraw(session: Session, row: PackVersion, *, why: str, by: Actor) -> None:
    """Let nobody enable a version any more, and tell those who use it why. Their results stay until they choose another
    version: a registry that vanished overnight would be a hazard of its own. Raises `Forbidden`, `Conflict`.
    """
    _check_speaks_for(session, row, by)
    if row.withdrawn is not None:
        raise Conflict("That version was withdrawn before.", "Nothing was changed.")
    row.withdrawn, row.withdrawn_because = dt.datetime.now(dt.UTC), given(why, "The reason")
    session.add(row)
    note(session, by, "withdrawn", subject_of(row), row.withdrawn_because)


def _check_speaks_for(session: Session, row: PackVersion, by: Actor) -> None:
    """The operator speaks for everything here, and a publisher's own organisation for what it published."""
    if not by.organisation:
        return
    if row.source == Source.INSTALLED or find_publisher(session, row.publisher).organisation != by.organisation:
        raise Forbidden("Only its publisher or the operator decides that.", "Ask them; the version's page names both.")
