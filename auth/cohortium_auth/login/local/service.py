"""Accounts: added and reset by an administrator, checked at sign-in, given a second factor at the first.

Every check does the same work whatever is wrong, and its outcome tells the screen one thing: in, not in, or to be set
up. Five failures in a row lock an account for a minute, each further one for twice as long, up to an hour; tries while
it is locked change nothing, so that nobody can keep somebody else out for ever.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import Session, select

from cohortium_auth.login.attempts import Stage, keep, take
from cohortium_auth.login.local.models import LocalAccount
from cohortium_auth.login.local.passwords import check_password, hash_password, is_password, needs_hashing_anew
from cohortium_auth.login.local.totp import TotpSecret
from cohortium_auth.login.models import Person
from cohortium_auth.login.sessions import end_sessions_of
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.keys import TenantKeys

__all__ = [
    "INITIAL_LIFETIME",
    "Checked",
    "Enrolling",
    "account_name",
    "add_account",
    "change_password",
    "check",
    "enrol",
    "hold_enrolment",
    "reset_account",
    "take_enrolment",
]

INITIAL_LIFETIME = timedelta(days=7)
"""An administrator's password opens the door once, for setting up one's own, and no later than this."""
_FREE_FAILURES = 5
_FIRST_LOCK = timedelta(minutes=1)
_LONGEST_LOCK = timedelta(hours=1)
_NO_SECRET = TotpSecret(bytes(20))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a try came to: `person_id` when there is such an account, `why` (empty when nothing is wrong) for the audit,
    and `to_set_up` when the password is right and nothing else has been set up.
    """

    person_id: UUID | None
    why: str
    to_set_up: bool = False


@dataclass(frozen=True, slots=True)
class Enrolling:
    """Somebody setting up their account: the secret that their app is shown, and where they were going."""

    person_id: UUID
    name: str
    secret: TotpSecret = field(repr=False)
    wanted: str


def add_account(session: Session, person_id: UUID, name: str, password: str) -> None:
    """Give a person an account with an initial password. Raises `BadInput`, `NotFound`, `Conflict`."""
    person = session.get(Person, (tenant_of(session), person_id))
    if person is None:
        raise NotFound("There is no such person.", "`cohortium person list` shows those there are.")
    folded = _folded(name)
    if not folded or not folded.isprintable() or " " in folded:
        raise BadInput("An account needs a name without spaces.", "Use the one that the person types to sign in.")
    if _named(session, folded) is not None or account_name(session, person_id):
        raise Conflict("There is such an account already.", "Reset it, or choose another name.")
    check_password(password, folded, person.display_name)
    account = LocalAccount(tenant_id=person.tenant_id, person_id=person_id, name=folded, password="")
    _make_initial(account, password)
    session.add(account)
    session.flush()


def reset_account(session: Session, person_id: UUID, password: str) -> None:
    """Let somebody begin anew who has lost password or second factor: both go, and every session ends. Raises
    `NotFound` and `BadInput`.
    """
    account = session.get(LocalAccount, (tenant_of(session), person_id))
    if account is None:
        raise NotFound("That person has no account.", "`cohortium person add-account` gives one.")
    check_password(password, account.name)
    _make_initial(account, password)
    session.add(account)
    end_sessions_of(session, person_id)


def account_name(session: Session, person_id: UUID) -> str:
    """The name of a person's account, empty when they have none."""
    account = session.get(LocalAccount, (tenant_of(session), person_id))
    return "" if account is None else account.name


def check(  # noqa: PLR0913 - one of each
    session: Session, keys: TenantKeys, name: str, password: str, code: str, *, now: datetime
) -> Checked:
    """Check a try, and note it. It raises nothing for a wrong one, so that what it notes is committed."""
    account = _named(session, _folded(name), locking=True)
    right = is_password(password, None if account is None else account.password)
    step = _step(keys, account, code, now)
    if account is None:
        return Checked(None, "no-account")
    if account.locked_until is not None and now < account.locked_until:
        return Checked(account.person_id, "locked")
    expired = account.initial_until is not None and now >= account.initial_until
    to_set_up = account.secret is None or account.initial_until is not None
    if not right or expired or (not to_set_up and step is None):
        _note_failure(account, now)
        session.add(account)
        return Checked(account.person_id, "password" if not right else "expired" if expired else "code")
    if not to_set_up:
        account.failures, account.locked_until, account.last_step = 0, None, step or account.last_step
        if needs_hashing_anew(account.password):
            account.password = hash_password(password)
    session.add(account)
    return Checked(account.person_id, "", to_set_up)


def hold_enrolment(session: Session, keys: TenantKeys, enrolling: Enrolling, visit: str) -> str:
    """Remember somebody who is setting up; gives the token for their page."""
    content = {
        "person": str(enrolling.person_id),
        "name": enrolling.name,
        "secret": enrolling.secret.text,
        "wanted": enrolling.wanted,
    }
    return keep(session, keys, Stage.ENROLMENT, visit, content)


def take_enrolment(session: Session, keys: TenantKeys, visit: str, token: str) -> Enrolling:
    """Whoever is setting up in this browser. Raises `NotBegunHere`."""
    content = take(session, keys, Stage.ENROLMENT, visit, token)
    secret = TotpSecret.of(str(content["secret"]))
    return Enrolling(UUID(str(content["person"])), str(content["name"]), secret, str(content["wanted"]))


def enrol(  # noqa: PLR0913 - one of each
    session: Session, keys: TenantKeys, enrolling: Enrolling, password: str, code: str, *, now: datetime
) -> None:
    """Take a password of one's own and an app's first code. Raises `BadInput` saying what to do about either, and
    `Conflict` when the account was set up meanwhile.
    """
    account = session.get(LocalAccount, (tenant_of(session), enrolling.person_id), with_for_update=True)
    if account is None or (account.initial_until is None and account.secret is not None):
        raise Conflict("This account has been set up already.", "Sign in with your own password and a code.")
    if is_password(password, account.password):
        raise BadInput("That is the password you were given.", "Choose one of your own.")
    person = session.get_one(Person, (tenant_of(session), enrolling.person_id))
    check_password(password, account.name, person.display_name)
    step = enrolling.secret.accepted_step(code, now.timestamp(), account.last_step)
    if step is None:
        raise BadInput("The code is wrong or out of date.", "Type the one that your app shows now.")
    account.password, account.initial_until = hash_password(password), None
    account.secret = keys.seal(enrolling.secret.key, _context(account))
    account.last_step, account.failures, account.locked_until = step, 0, None
    session.add(account)


def change_password(  # noqa: PLR0913 - one of each
    session: Session, keys: TenantKeys, person_id: UUID, old: str, new: str, *, code: str
) -> None:
    """Change one's own password; the old one and a code are asked for. Raises `BadInput` and `NotFound`."""
    account = session.get(LocalAccount, (tenant_of(session), person_id), with_for_update=True)
    if account is None:
        raise NotFound("You have no password here.")
    now = datetime.now(UTC)
    step = _step(keys, account, code, now)
    if not is_password(old, account.password) or step is None:
        raise BadInput("The old password or the code is wrong.", "Type both again.")
    person = session.get_one(Person, (tenant_of(session), person_id))
    check_password(new, account.name, person.display_name)
    account.password, account.last_step = hash_password(new), step
    session.add(account)


def _make_initial(account: LocalAccount, password: str) -> None:
    account.password, account.initial_until = hash_password(password), datetime.now(UTC) + INITIAL_LIFETIME
    account.secret, account.failures, account.locked_until = None, 0, None


def _note_failure(account: LocalAccount, now: datetime) -> None:
    account.failures += 1
    past = account.failures - _FREE_FAILURES
    if past >= 0:
        account.locked_until = now + min(_FIRST_LOCK * 2 ** min(past, 10), _LONGEST_LOCK)


def _step(keys: TenantKeys, account: LocalAccount | None, code: str, now: datetime) -> int | None:
    """The step of a code; where there is no account or no secret, the same work for none."""
    if account is None or account.secret is None:
        _NO_SECRET.accepted_step(code, now.timestamp(), 0)
        return None
    secret = TotpSecret(keys.open(account.secret, _context(account)))
    return secret.accepted_step(code, now.timestamp(), account.last_step)


def _named(session: Session, name: str, *, locking: bool = False) -> LocalAccount | None:
    statement = select(LocalAccount).where(LocalAccount.name == name)
    return session.exec(statement.with_for_update() if locking else statement).one_or_none()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _context(account: LocalAccount) -> bytes:
    return b"second factor\0" + account.person_id.bytes
