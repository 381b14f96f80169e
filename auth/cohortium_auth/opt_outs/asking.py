"""The question to the national service: the NHS numbers of everyone whom a tenant knows by a number it trusts.

Not here: sending it, and taking in the answer (`loading`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput
from cohortium_platform.identities import Identity
from cohortium_platform.identities.loading import bound_to
from cohortium_platform.identities.models import SealedIdentity
from cohortium_platform.identities.pseudonyms import Pseudonyms
from cohortium_platform.keys import TenantKeys

__all__ = ["write_question"]

_AT_ONCE = 10_000


def write_question(session: Session, keys: TenantKeys, path: Path) -> int:
    """Write a new file that its owner alone may read: a line with number and comma for each person. Gives how many.

    Raises `BadInput` when there is such a file already, or nobody to ask about; then no file is left behind.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise BadInput(f"There is a file {path} already.", "Name another, or remove it.") from None
    except OSError as error:
        raise BadInput(f"The file {path} cannot be written: {error.strerror}.", "Name another.") from None
    try:
        return _write(descriptor, _numbers(session, keys))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(descriptor: int, numbers: Iterator[str]) -> int:
    people = 0
    with os.fdopen(descriptor, "w", encoding="ascii", newline="") as file:
        for number in numbers:
            file.write(f"{number},\n")
            people += 1
        file.flush()
        os.fsync(file.fileno())
    if not people:
        raise BadInput("Nobody here has an NHS number that is trusted.", "Load the practices' records first.")
    return people


def _numbers(session: Session, keys: TenantKeys) -> Iterator[str]:
    """Each number once, in the order of pseudonyms. It is trusted when the person's pseudonym was made of it: of a
    number that was mistyped, or that two people share, none is.
    """
    pseudonyms, last, given = Pseudonyms(keys), -1, -1
    while batch := _batch(session, last):
        for practice, patient, version, sealed in batch:
            if patient == given:
                continue
            number = Identity.from_bytes(keys.open(sealed, bound_to(practice, patient, version))).nhs_number
            if number is not None and pseudonyms.of_nhs_number(number) == patient:
                given = patient
                yield number
        last = batch[-1][1]


def _batch(session: Session, after: int) -> list[tuple[str, int, int, bytes]]:
    """The next people's identities, whole people only: another practice may know one of them as well."""
    columns = (SealedIdentity.practice, SealedIdentity.patient_id, SealedIdentity.version, SealedIdentity.sealed)
    patients = (
        select(SealedIdentity.patient_id)
        .where(col(SealedIdentity.patient_id) > after)
        .distinct()
        .order_by(col(SealedIdentity.patient_id))
        .limit(_AT_ONCE)
    )
    found = session.exec(patients).all()
    if not found:
        return []
    statement = select(*columns).where(col(SealedIdentity.patient_id).between(found[0], found[-1]))
    return list(session.exec(statement.order_by("patient_id", "practice")).all())
