"""Doing and undoing onboarding steps, and who is live on a day, in the caller's transaction.

Here: which steps each kind of organisation needs. Not here: what being live permits (cohortium_auth.policy).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_tenants.onboarding.models import OnboardingStep, Step
from cohortium_tenants.organisations import PROVIDERS, Organisation, OrganisationType

__all__ = [
    "Progress",
    "StepDone",
    "complete",
    "live_organisations",
    "onboard",
    "progress_of",
    "steps_of",
    "withdraw",
]

_OF_PROVIDERS = frozenset({Step.FEED_CONNECTED, Step.FIRST_LOAD_ACCEPTED})


@dataclass(frozen=True, slots=True)
class StepDone:
    """When a step was done, where its evidence lies, and who recorded it."""

    on: date
    document: str
    by: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an organisation (ODS code) is: every step it needs, with what was done of it."""

    organisation: str
    steps: Mapping[Step, StepDone | None]

    @property
    def missing(self) -> Sequence[Step]:
        """Steps still to do, the go-live among them."""
        return [step for step, done in self.steps.items() if done is None]

    @property
    def go_live(self) -> date | None:
        """The day from which it is live, once every other step is done."""
        done = self.steps[Step.GO_LIVE]
        return None if done is None else done.on

    def is_live(self, on: date) -> bool:
        """Whether data shows on a day."""
        return not self.missing and self.go_live is not None and self.go_live <= on


_DONE = text("""
    SELECT organisation, organisations.type, count(*) FROM onboarding_steps
    JOIN organisations ON ods_code = organisation AND organisations.tenant_id = onboarding_steps.tenant_id
    GROUP BY organisation, organisations.type
    HAVING bool_or(step = :go_live AND on_date <= :on)
""")


def steps_of(kind: OrganisationType) -> Sequence[Step]:
    """The steps that an organisation of a kind needs; only those that hold records connect a feed."""
    return [step for step in Step if kind in PROVIDERS or step not in _OF_PROVIDERS]


_NEEDED = {str(kind): len(steps_of(kind)) for kind in OrganisationType}


def complete(  # noqa: PLR0913 - a step is this much
    session: Session, organisation: str, step: Step, *, on: date, document: str, by: str
) -> None:
    """Record a step as done. Raises `NotFound`, `Conflict` when it is done already, and `BadInput` when it is no step
    of this organisation, names no document, or is the go-live before the rest or on an earlier day than they.
    """
    found = _find(session, organisation)
    progress = _progress(session, found)
    if step not in progress.steps:
        raise BadInput(f"{organisation} has no step '{step}'.", "Only organisations that hold records connect a feed.")
    if progress.steps[step] is not None:
        raise Conflict(f"{organisation} has done '{step}' already.", "Withdraw it first to record it anew.")
    if not document.strip():
        raise BadInput("A step names no document.", "Say where its evidence is.")
    if step is Step.GO_LIVE:
        before = [other for other in progress.missing if other is not Step.GO_LIVE]
        if before:
            raise BadInput(f"{organisation} cannot go live yet.", f"Still to do: {', '.join(before)}.")
        latest = max(done.on for done in progress.steps.values() if done is not None)
        if on < latest:
            raise BadInput(f"{organisation} cannot go live before its steps are done.", f"Give {latest} or later.")
    elif on > datetime.now(UTC).date():
        raise BadInput("A step cannot have been done on a day to come.", "Only a go-live may lie ahead.")
    session.add(
        OnboardingStep(
            tenant_id=tenant_of(session),
            organisation=organisation,
            step=step,
            on_date=on,
            document=document.strip(),
            by=by,
            recorded=datetime.now(UTC),
        )
    )
    session.flush()


def withdraw(session: Session, organisation: str, step: Step) -> None:
    """Take a step back: nothing of the organisation shows any more, from the next click on. Its go-live goes with it.

    Raises `NotFound` when it was not done.
    """
    _find(session, organisation)
    wanted = {step, Step.GO_LIVE}
    rows = session.exec(
        select(OnboardingStep).where(
            OnboardingStep.organisation == organisation, col(OnboardingStep.step).in_([str(each) for each in wanted])
        )
    ).all()
    if all(row.step != step for row in rows):
        raise NotFound(f"{organisation} has not done '{step}'.", "Look at its steps first.")
    for row in rows:
        session.delete(row)
    session.flush()


def onboard(session: Session, organisation: str, *, on: date, document: str, by: str) -> None:
    """Record every step that is still missing as done on one day, the go-live last."""
    for step in _progress(session, _find(session, organisation)).missing:
        complete(session, organisation, step, on=on, document=document, by=by)


def progress_of(session: Session) -> Sequence[Progress]:
    """How far every organisation of the tenant is, by ODS code."""
    session.flush()
    done: dict[str, list[OnboardingStep]] = {}
    for row in session.exec(select(OnboardingStep)):
        done.setdefault(row.organisation, []).append(row)
    organisations = session.exec(select(Organisation).order_by(col(Organisation.ods_code)))
    return [_with_steps(organisation, done.get(organisation.ods_code, [])) for organisation in organisations]


def live_organisations(session: Session, on: date) -> frozenset[str]:
    """The organisations that are live on a day: every step of their kind done, and the go-live come."""
    rows = session.connection().execute(_DONE, {"on": on, "go_live": Step.GO_LIVE})
    return frozenset(code for code, kind, done in rows if done >= _NEEDED[kind])


def _find(session: Session, code: str) -> Organisation:
    """The organisation, held until the transaction ends: two that change its steps come one after the other."""
    session.flush()
    statement = select(Organisation).where(Organisation.ods_code == code).with_for_update()
    found = session.exec(statement).first()
    if found is None:
        raise NotFound(f"There is no organisation {code} in this tenant.", "Create it first.")
    return found


def _progress(session: Session, organisation: Organisation) -> Progress:
    session.flush()
    statement = select(OnboardingStep).where(OnboardingStep.organisation == organisation.ods_code)
    return _with_steps(organisation, session.exec(statement).all())


def _with_steps(organisation: Organisation, rows: Sequence[OnboardingStep]) -> Progress:
    done = {row.step: StepDone(row.on_date, row.document, row.by) for row in rows}
    steps = steps_of(OrganisationType(organisation.type))
    return Progress(organisation.ods_code, {step: done.get(step) for step in steps})
