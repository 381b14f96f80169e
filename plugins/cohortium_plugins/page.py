"""A pack as one page for everybody who decides about it: each rule in words, where its codes come from, what its golden
patients are and what has changed.

Not here: the words of a rule (`statement`), the page for users of a registry (`documents`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cohortium_plugins.errors import PackError
from cohortium_plugins.golden import read_files
from cohortium_plugins.pack import Pack
from cohortium_plugins.statement import statement

__all__ = ["markdown_page"]


def markdown_page(pack: Pack) -> str:
    """Give the page in Markdown. It is the same for the same pack."""
    lines = [
        *_head(pack), statement(pack.definition), *_codelists(pack), *_templates(pack), *_golden(pack), *_changes(pack)
    ]  # fmt: skip
    return "\n".join(lines).rstrip("\n") + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _head(pack: Pack) -> Iterator[str]:
    yield from (f"# {pack.title} {pack.version}", "")
    if pack.description:
        yield from (pack.description, "")
    yield from (f"- Pack: `{pack.id}` {pack.version}, published by {pack.publisher}.", f"- Definition: `{pack.hash}`.")
    counts = Counter(indicator.group for indicator in pack.definition.indicators)
    said = "; ".join(f"{group or 'without a heading'}: {count}" for group, count in counts.items())
    yield from (f"- Indicators: {said or 'none'}.", "")


def _codelists(pack: Pack) -> Iterator[str]:
    yield from (
        "## Codelists",
        "",
        "| codelist | what it holds | codes | source | version |",
        "| --- | --- | --- | --- | --- |",
    )
    for name, codelist in sorted(pack.definition.codelists.items()):
        codes = f"{len(codelist.codes):,}" if codelist.codes else "none: a tenant adds its own"
        cells = (f"`{name}`", codelist.title, codes, codelist.source, codelist.version)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _templates(pack: Pack) -> Iterator[str]:
    if not pack.templates:
        return
    yield from ("## Templates", "")
    for _, template in sorted(pack.templates.items()):
        asked = sum(item.type.is_answered for item in template.walk())
        said = f"{asked} questions. {_cell(template.description)}"
        yield f"- {template.title} {template.version} (`{template.name}`): {said}"
    yield ""


def _golden(pack: Pack) -> Iterator[str]:
    yield from ("## Golden patients", "")
    if not pack.golden:
        yield from ("None.", "")
        return
    try:
        files = read_files(pack.golden)
    except PackError as error:
        yield from (f"They cannot be read: {error.message}", "")
        return
    yield from ("Records written by hand, with what must be said of them. They are run before a version is listed.", "")
    for file in files:
        told = dict.fromkeys((case.patient, case.why) for case in file.cases)
        if told:
            yield from (f"### {file.name.removesuffix('.toml')}", "")
            yield from (f"- {_cell(who)}: {_cell(why)}" if why else f"- {_cell(who)}" for who, why in told)
            yield ""


def _changes(pack: Pack) -> Iterator[str]:
    yield from ("## Changes", "", pack.changes.strip() or "No log of changes is kept.", "")
