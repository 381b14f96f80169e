"""What an author does on the way to a published pack: `pack new`, `test`, `docs`, `diff`, `build`, `keygen`, `sign`.

None of these touches a database or a tenant. Not here: `pack check` and `pack publish` (`packs`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cohortium_platform.engine.golden import duckdb_engine
from cohortium_platform.errors import BadInput
from cohortium_plugins.comparing import compare, in_words
from cohortium_plugins.golden import Difference, Engine, check, interpret, read_files
from cohortium_plugins.html_page import html_page
from cohortium_plugins.loading import find_pack
from cohortium_plugins.packfile import PackFile, build, read, sign
from cohortium_plugins.page import markdown_page
from cohortium_plugins.skeleton import write_pack
from cohortium_web.cli.output import AsJson, Output

__all__ = ["add_to"]

ENGINES: Mapping[str, Engine] = {"interpreter": interpret, "DuckDB": duckdb_engine}
"""What `pack test` runs on: every engine that evaluates on this machine without a service of its own."""

Name = Annotated[str, typer.Argument(help="The pack's id, its import name, the folder it lies in, or a pack file.")]
To = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.", dir_okay=False)]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands: Mapping[str, Callable[..., None]] = {
        "new": new, "test": golden, "docs": docs, "diff": diff, "build": build_, "keygen": keygen, "sign": sign_,
    }  # fmt: skip
    for name, command in commands.items():
        app.command(name)(command)


def new(
    name: Annotated[str, typer.Argument(help="The new pack's id: small letters, digits and hyphens.")],
    *,
    publisher: Annotated[
        str, typer.Option(help="Your publisher's id, as the operator has entered it.")
    ] = "my-publisher",
    below: Annotated[Path, typer.Option("--in", help="The folder to write it in.", file_okay=False)] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a new pack, complete and passing, in a folder of its own."""
    output = Output(as_json=as_json)
    folder = write_pack(name, publisher, below)
    output.say(f"Wrote {folder}. Next: cohortium pack check {folder}")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    output.document({"pack": name, "folder": folder.resolve(), "files": files})


def golden(name: Name, *, as_json: AsJson = False) -> None:
    """Run a pack's golden patients on every engine. The exit code is 1 when one is not as expected."""
    output = Output(as_json=as_json)
    pack = find_pack(name)
    files = [file for file in read_files(pack.golden) if file.cases]
    found: dict[str, list[Difference]] = {}
    for engine, run in ENGINES.items():
        with output.step(f"Golden patients on {engine}") as report:
            found[engine] = []
            for done, file in enumerate(files, start=1):
                found[engine] += check(pack.definition, file.cases, run)
                report(done / len(files), file.name)
    count = sum(len(file.cases) for file in files)
    for engine, differences in found.items():
        _tell(output, engine, differences)
    wrong = sum(map(len, found.values()))
    output.say(f"{pack.id} {pack.version}: {count} cases on {', '.join(ENGINES)}: {wrong or 'no'} differences.")
    plain = [_plain(engine, each) for engine, differences in found.items() for each in differences]
    about = {"pack": pack.id, "version": pack.version, "cases": count, "engines": list(ENGINES)}
    output.document({**about, "differences": plain})
    if wrong or not count:
        if not count:
            output.say("There is no golden patient to run. Write one in golden/.")
        raise typer.Exit(1)


def _tell(output: Output, engine: str, differences: list[Difference]) -> None:
    """Print differences by patient: what was expected and why, and what the engine says."""
    for case in {(each.case.file, each.case.label): each.case for each in differences}.values():
        output.say(f"\n{case.file}: {case.label}, on {engine}")
        output.say(f"  why: {case.why or 'not said'}")
        for difference in differences:
            if difference.case is case:
                output.say(f"  {difference}")


def _plain(engine: str, difference: Difference) -> Mapping[str, object]:
    case = difference.case
    where = {"engine": engine, "file": case.file, "patient": case.patient, "index_date": case.index_date}
    said = {"expected": difference.expected, "got": difference.got, "why": case.why}
    return {**where, "subject": difference.subject, "field": difference.field, **said}


def docs(
    name: Name,
    *,
    html: Annotated[bool, typer.Option("--html", help="Write HTML instead of Markdown.")] = False,
    to: To = None,
    as_json: AsJson = False,
) -> None:
    """Print a pack as one page in words: every rule, source and codelist, its golden patients and what has changed."""
    output = Output(as_json=as_json)
    pack = find_pack(name)
    page = html_page(pack) if html else markdown_page(pack)
    if to is not None:
        to.write_text(page, encoding="utf-8")
        output.say(f"Wrote {to}.")
    elif not as_json:
        typer.echo(page, nl=False)
    output.document({"pack": pack.id, "version": pack.version, "definition_hash": pack.hash, "page": page})


def diff(before: Name, after: Name, *, as_json: AsJson = False) -> None:
    """Say in words what changed between two packs, with the codes added and removed."""
    output = Output(as_json=as_json)
    old = find_pack(before)
    changes = compare(old, find_pack(after))
    if not as_json:
        typer.echo(in_words(changes))
    output.document({"changes": changes})


def build_(name: Name, *, to: To = None, as_json: AsJson = False) -> None:
    """Build the one file of a pack, the same bytes wherever it is built."""
    output = Output(as_json=as_json)
    pack = find_pack(name)
    content = build(pack)
    to = to or Path(f"{pack.id}-{pack.version}.pack")
    to.write_bytes(content)
    _say_file(output, to, read(content))


def keygen(
    file: Annotated[Path, typer.Argument(help="The file of the private key; the public one stands beside it as .pub.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a publisher's key. Keep the private file secret; give the .pub file to the operator."""
    output = Output(as_json=as_json)
    key, public = Ed25519PrivateKey.generate(), file.with_name(f"{file.name}.pub")
    for path in (file, public):
        if path.exists():
            raise BadInput(
                f"There is a file {path} already.", "Choose another name: a key that is lost cannot come back."
            )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as held:
        held.write(private)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    output.say(f"Wrote {file} (secret: whoever has it can publish as you) and {public} (for the operator).")
    output.document({"private": file, "public": public})


def sign_(
    file: Annotated[Path, typer.Argument(help="The file that `pack build` wrote.", exists=True, dir_okay=False)],
    key: Annotated[Path, typer.Option(help="The publisher's private key.", exists=True, dir_okay=False)],
    *,
    to: To = None,
    as_json: AsJson = False,
) -> None:
    """Add the publisher's signature to a pack file. The publisher is the one that the pack names."""
    output = Output(as_json=as_json)
    found = read(file)
    content = sign(file, _private_key(key), found.pack.publisher)
    (to or file).write_bytes(content)
    _say_file(output, to or file, read(content))


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} is no private Ed25519 key.", "Make one with `cohortium pack keygen`.")
    if path.stat().st_mode & 0o077:
        sys.stderr.write(f"Others may read {path}: chmod 600 {path}\n")
    return key


def _say_file(output: Output, path: Path, file: PackFile) -> None:
    signed = sorted({each.publisher for each in file.signatures})
    output.say(f"Wrote {path}: {file.pack.id} {file.pack.version}, {file.hash}.")
    output.say(f"Signed by {', '.join(signed)}." if signed else "Not signed yet: cohortium pack sign.")
    about = {"pack": file.pack.id, "version": file.pack.version, "definition_hash": file.pack.hash}
    output.document({"file": path, "content_hash": file.hash, **about, "signed_by": signed})
