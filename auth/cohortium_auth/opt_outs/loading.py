"""Taking in a cleared list: NHS numbers as the national service gives them back, kept as pseudonyms; and removing the
files of lists that will never count again.

A list is a text file with a number a line, each perhaps with a comma after it. It is taken whole or not at all; the
file in the tenant's store holds pseudonyms only and is written before the row that makes it count, so a load that was
killed leaves a file that nothing names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from sqlmodel import Session, select

from cohortium_auth.opt_outs.models import ClearedList
from cohortium_auth.opt_outs.service import cleared_list
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput
from cohortium_platform.identities.pseudonyms import Pseudonyms
from cohortium_platform.keys import TenantKeys
from cohortium_platform.records import RecordStore
from cohortium_platform.records.store import sha256_of, sync

__all__ = ["UNNAMED_AGE", "load_cleared_list", "sweep_lists"]

UNNAMED_AGE = timedelta(days=1)
"""How long a file may lie unnamed: longer than any load lasts."""

_WEIGHTS = range(10, 1, -1)
_DIGITS = 10


def load_cleared_list(  # noqa: PLR0913 - a list is this much
    session: Session, store: RecordStore, keys: TenantKeys, lines: Iterable[str], *, as_at: date, expires: date, by: str
) -> ClearedList:
    """Take in a list, which counts from now on until its last day. Raises `BadInput`: naming the line, when one is no
    NHS number; when the list is empty; when it would expire before the day it is as at, or that day is to come.
    """
    if as_at > datetime.now(UTC).date():
        raise BadInput("The list would be as at a day to come.", "Give the day of the national service's answer.")
    if expires < as_at:
        raise BadInput("The list would expire before the day it is as at.", "Correct one of the days.")
    pseudonyms = Pseudonyms(keys)
    people = sorted({pseudonyms.of_nhs_number(number) for number in _numbers(lines)})
    if not people:
        raise BadInput("The list holds no NHS number.", "An empty answer would stop every use but direct care.")
    name = f"cleared-{uuid4().hex}.parquet"
    store.opt_outs.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = store.opt_outs / name
    pq.write_table(pa.table({"patient_id": pa.array(people, pa.int64())}), path, compression="zstd")
    sync(path, os.O_RDONLY)
    sync(store.opt_outs, os.O_RDONLY | os.O_DIRECTORY)
    row = ClearedList(
        id=UUID(name.removeprefix("cleared-").removesuffix(".parquet")),
        tenant_id=tenant_of(session),
        as_at=as_at,
        expires=expires,
        path=name,
        sha256=sha256_of(path),
        people=len(people),
        by=by,
        loaded=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    return row


def sweep_lists(
    session: Session, store: RecordStore, on: date, *, unnamed_for: timedelta = UNNAMED_AGE
) -> Sequence[str]:
    """Remove the files of lists that a newer one has replaced or that have expired, and files that no list names and
    that are older than `unnamed_for`. The rows stay, to say which lists there were. Gives the names removed.

    The disk is looked at first and the lists after: a file that is being named at this moment is too young to go.
    """
    before = (datetime.now(UTC) - unnamed_for).timestamp()
    lying = {path.name: path.stat().st_mtime for path in store.opt_outs.glob("cleared-*.parquet")}
    lists = {row.path: row for row in session.exec(select(ClearedList))}
    current = cleared_list(session, on)
    spared = {row.path for row in lists.values() if row.as_at > on or (current is not None and row.id == current.id)}
    going = [name for name, made in lying.items() if name not in spared and (name in lists or made < before)]
    for name in going:
        (store.opt_outs / name).unlink(missing_ok=True)
    return sorted(going)


def _numbers(lines: Iterable[str]) -> Iterator[str]:
    for place, line in enumerate(lines, start=1):
        number = line.strip().strip(",").strip()
        if not number:
            continue
        if not _is_nhs_number(number):
            raise BadInput(f"Line {place} is no NHS number.", "Each line holds ten digits, and a comma perhaps.")
        yield number


def _is_nhs_number(text: str) -> bool:
    """Ten digits, of which the last is the check digit: 11 less the weighted sum modulo 11, 11 counting as 0."""
    if len(text) != _DIGITS or not (text.isascii() and text.isdecimal()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _WEIGHTS, strict=False))
    return (11 - total % 11) % 11 == int(text[-1])
