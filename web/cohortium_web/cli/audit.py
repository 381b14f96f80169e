"""`cohortium audit`: how a tenant's log stands, exporting it, proving and verifying it.

`verify` and `verify-proof` need the exported files and the public key, and nothing of this installation.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlmodel import Session, select

from cohortium_platform.audit import Entry, record_alone
from cohortium_platform.audit.checking import check_log
from cohortium_platform.audit.exporting import ExportRequest, export_log
from cohortium_platform.audit.heads import prove_consistency, prove_place, take_head
from cohortium_platform.audit.models import AuditHead, AuditLeaf
from cohortium_platform.audit.notes import LogKey, LogSigner, consistency_text, open_note, parse_proof, proof_text
from cohortium_platform.audit.reading import read_leaves
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.audit.state import log_state
from cohortium_platform.audit.stored import LogBroken
from cohortium_platform.audit.tree import leaf_hash
from cohortium_platform.audit.verifying import Verified, verify_export
from cohortium_platform.errors import BadInput, CohortiumError, NotFound
from cohortium_tenants.tenants import Tenant
from cohortium_tenants.tenants.signing import log_signer
from cohortium_web.cli.context import Place, open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["app"]

app = typer.Typer(help="The audit log: check, export, prove and verify it.", no_args_is_help=True)

OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
KeyOption = Annotated[str, typer.Option("--key", help="The log's public key, or a file that holds it.")]


@app.command()
def status(*, tenant: OfTenant, as_json: AsJson = False) -> None:
    """Show how the log stands: entries, tickets without an entry, the last checkpoint, the public key."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found, signer = _opened(place, tenant, "audit-status")
        broken = ""
        try:
            sequence(place.database, found.id)
        except LogBroken as failure:
            broken = failure.message
        with place.database.tenant(found.id) as session:
            state = log_state(session)
    head = state.head
    rows = [
        ("entries", state.size),
        ("voided (rolled back)", state.voided),
        ("missing", state.missing),
        ("waiting for their transaction", state.waiting),
        ("last checkpoint, entries", head.size if head else None),
        ("last checkpoint, signed", head.at if head else None),
        ("public key", str(signer.key)),
    ]
    output.table(f"Audit log of {tenant}", ["", ""], rows)
    if broken:
        output.say(f"BROKEN: {broken}")
    output.document(
        {
            "tenant": tenant,
            "entries": state.size,
            "tickets": state.drawn,
            "voided": state.voided,
            "missing": state.missing,
            "waiting": state.waiting,
            "waiting_since": state.oldest_wait,
            "checkpoint": {"size": head.size, "at": head.at, "note": head.note} if head else None,
            "key": str(signer.key),
            "broken": broken or None,
        }
    )


@app.command("key")
def key_(*, tenant: OfTenant, as_json: AsJson = False) -> None:
    """Print the log's public key."""
    output = Output(as_json=as_json)
    with open_place() as place:
        _, signer = _opened(place, tenant, "audit-key")
    _print(output, f"{signer.key}\n")
    output.document({"tenant": tenant, "key": str(signer.key)})


@app.command()
def checkpoint(
    *,
    tenant: OfTenant,
    out: Annotated[Path | None, typer.Option(help="A file to write the checkpoint to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the log as it stands, and print the checkpoint: keep it where nobody who runs the service can reach it."""
    output = Output(as_json=as_json)
    with open_place() as place:
        head, signer = _head(place, tenant, "audit-checkpoint")
    if out is not None:
        out.write_text(head.note, encoding="utf-8")
    _print(output, head.note)
    output.document({"tenant": tenant, "size": head.size, "note": head.note, "key": str(signer.key), "file": out})


@app.command()
def export(
    *,
    tenant: OfTenant,
    out: Annotated[Path, typer.Option(help="The folder to write; it must not be there yet.")],
    since: Annotated[str, typer.Option("--from", help="The first day, as YYYY-MM-DD; the log's beginning.")] = "",
    until: Annotated[str, typer.Option("--to", help="The last day, as YYYY-MM-DD; up to now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Export the log with all that is needed to verify it."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found = place.tenant(tenant)
        signer = log_signer(place.database, place.key_encryption, found)
        asked = Entry(
            action="audit-export", resource="audit/log", actor=operator(), detail={"from": since, "to": until}
        )
        request = ExportRequest(out, asked, _moment(since), _moment(until, dt.timedelta(days=1)))
        with output.step(f"Exporting the log of {tenant}"):
            done = export_log(place.database, found.id, signer, request)
    output.say(f"{done.folder}: {done.entries:,} entries from place {done.first} on, of {done.size:,}.")
    if done.missing:
        output.say(f"{done.missing:,} of them are gone from the table; their places are empty lines.")
    if done.broken:
        output.say(f"No new checkpoint was signed: {done.broken} Run: cohortium audit check --tenant {tenant}")
    output.document(done)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="An exported log.")],
    *,
    key: KeyOption = "",
    kept: Annotated[list[Path] | None, typer.Option(help="A file with a checkpoint you kept; can be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify an exported log with nothing but its files and the public key; says which entry is the first bad one."""
    output = Output(as_json=as_json)
    done = verify_export(folder, key=_key(key) if key else None, kept=[_read(path) for path in kept or []])
    _show_verified(output, done)
    places = [fault.place for fault in done.faults if fault.place is not None]
    proven = [fault.place if fault.not_before is None else fault.not_before for fault in done.faults]
    output.document(
        {
            "whole": not done.faults,
            "first_bad_place": min(places, default=None),
            "not_before_place": min((place for place in proven if place is not None), default=None),
            "verified": done,
        }
    )
    if done.faults:
        raise typer.Exit(1)


def _show_verified(output: Output, done: Verified) -> None:
    for remark in done.remarks:
        output.say(f"Note: {remark}")
    for fault in done.faults:
        output.say(f"BAD ({fault.kind}): {fault.message}")
    if not done.faults:
        output.say(
            f"Whole: {done.entries:,} entries of {done.origin} are as they were recorded, under {done.checkpoints:,} "
            f"checkpoints, the last of {done.size:,} entries."
        )


@app.command()
def prove(  # noqa: PLR0913 - each is an option of the command
    *,
    tenant: OfTenant,
    entry: Annotated[str, typer.Option(help="The id of the entry to prove.")] = "",
    place_: Annotated[int | None, typer.Option("--place", help="The place of the entry to prove.")] = None,
    kept: Annotated[
        Path | None, typer.Option(help="A checkpoint you kept: prove that the log goes on from it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, NAME.tlog-proof; the entry goes beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that an entry is in the log, or that the log goes on from a checkpoint."""
    output = Output(as_json=as_json)
    if sum(1 for given in (entry, place_, kept) if given not in ("", None)) != 1:
        raise BadInput("Say what to prove.", "Give one of --entry, --place and --kept.")
    with open_place() as place:
        head, signer = _head(place, tenant, "audit-prove", {"entry": entry, "place": place_})
        with place.database.tenant(place.tenant(tenant).id) as session:
            if kept is not None:
                old = open_note(_read(kept), signer.key)
                proof, line = consistency_text(old.size, prove_consistency(session, old.size, head), head.note), b""
            else:
                at = place_ if place_ is not None else _place_of(session, entry)
                proof = proof_text(prove_place(session, at, head))
                line = next(read_leaves(session, at, at + 1)).entry or b""
    if out is not None:
        out.write_text(proof, encoding="utf-8")
        if line:
            out.with_suffix(".json").write_bytes(line)
    _print(output, proof)
    output.document({"proof": proof, "entry": line.decode(), "key": str(signer.key), "file": out})


@app.command("verify-proof")
def verify_proof(
    proof: Annotated[Path, typer.Argument(help="The proof, NAME.tlog-proof.")],
    entry: Annotated[Path, typer.Argument(help="The entry's line, NAME.json.")],
    *,
    key: KeyOption,
    as_json: AsJson = False,
) -> None:
    """Verify that an entry is in the log, with the proof, the entry and the public key."""
    output = Output(as_json=as_json)
    read = parse_proof(_read(proof))
    line = _read(entry).removesuffix("\n").encode()
    holds = read.holds(leaf_hash(line), _key(key))
    output.say(
        f"Proven: this entry stands at place {read.place}."
        if holds
        else f"BAD: this is not the entry at place {read.place} of that log."
    )
    output.document({"proven": holds, "place": read.place})
    if not holds:
        raise typer.Exit(1)


@app.command()
def check(*, tenant: OfTenant, as_json: AsJson = False) -> None:
    """Check the log in the database, entry by entry: the table, the places, the checkpoints, the tickets."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found, signer = _opened(place, tenant, "audit-check")
        try:
            sequence(place.database, found.id)
        except LogBroken as broken:
            output.say(broken.message)
        with output.step(f"Checking the log of {tenant}"):
            done = check_log(place.database, found.id, signer.key)
    for problem in done.problems:
        output.say(f"BAD: {problem.message}")
    if not done.problems:
        output.say(
            f"Whole: {done.size:,} entries, {done.checkpoints:,} checkpoints, {done.tickets:,} tickets accounted for."
        )
    output.document({"whole": not done.problems, "checked": done})
    if done.problems:
        raise typer.Exit(1)


def _opened(place: Place, slug: str, action: str, detail: dict[str, object] | None = None) -> tuple[Tenant, LogSigner]:
    """The tenant and its signer, after the log was told what is being done to it."""
    tenant = place.tenant(slug)
    entry = Entry(action=action, resource="audit/log", actor=operator(), detail=detail or {})
    record_alone(place.database, tenant.id, entry)
    return tenant, log_signer(place.database, place.key_encryption, tenant)


def _head(place: Place, slug: str, action: str, detail: dict[str, object] | None = None) -> tuple[AuditHead, LogSigner]:
    tenant, signer = _opened(place, slug, action, detail)
    head = take_head(place.database, tenant.id, signer)
    if head is None:
        raise CohortiumError("The log is empty, though what you asked for was just recorded in it.")
    return head, signer


def _place_of(session: Session, entry: str) -> int:
    """The place of an entry. Raises `BadInput` for what is no id, `NotFound` for one that the log does not have."""
    try:
        statement = select(AuditLeaf.place).where(AuditLeaf.entry_id == UUID(entry))
    except ValueError as wrong:
        raise BadInput(f"{entry} is not an entry's id.", "It is 32 hexadecimal digits with four hyphens.") from wrong
    place = session.exec(statement).one_or_none()
    if place is None:
        raise NotFound(f"The log has no entry {entry}.")
    return place


def _print(output: Output, text: str) -> None:
    """Print what must be copied as it is: not a line of it broken to fit the screen."""
    if not output.as_json:
        typer.echo(text, nl=False)


def _moment(day: str, later: dt.timedelta = dt.timedelta()) -> dt.datetime | None:
    """The beginning of a day, in UTC, as the log writes time."""
    if not day:
        return None
    return dt.datetime.combine(parse_day(day), dt.time(), dt.UTC) + later


def _key(given: str) -> LogKey:
    return LogKey.parse(_read(Path(given)) if Path(given).is_file() else given)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise BadInput(f"{path} cannot be read.", "Name a text file that is there.") from wrong
