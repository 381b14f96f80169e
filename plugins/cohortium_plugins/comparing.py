"""What changed between two versions of a pack, in words: rules, codes added and removed, parameters, templates.

Not here: what it does to patients, which a preview on a server shows.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cohortium_plugins.model.definition import Code, Codelist
from cohortium_plugins.pack import Pack
from cohortium_plugins.statement import sentences

__all__ = ["Change", "What", "compare", "in_words"]


class What(enum.StrEnum):
    """What happened to a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a pack that is not as before: its kind, name and title. `before` and `after` are the lines of it that
    differ, in words; `codes_added` and `codes_removed` those of a codelist.
    """

    what: What
    kind: str
    name: str
    title: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    codes_added: tuple[Code, ...] = ()
    codes_removed: tuple[Code, ...] = ()


def compare(old: Pack, new: Pack) -> tuple[Change, ...]:
    """Give every change, the pack's own words first, then rules in their order, then codelists and templates."""
    return (*_of_manifest(old, new), *_of_rules(old, new), *_of_codelists(old, new), *_of_templates(old, new))


def _of_manifest(old: Pack, new: Pack) -> Iterator[Change]:
    for field in ("id", "version", "title", "publisher", "description"):
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield Change(What.CHANGED, "pack", field, field, (before,), (after,))


def _lines(
    kind: str, before: Mapping[str, tuple[str, tuple[str, ...]]], after: Mapping[str, tuple[str, tuple[str, ...]]]
) -> Iterator[Change]:
    """Compare parts of one kind, each a title and its lines."""
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change(What.REMOVED, kind, name, before[name][0], before=before[name][1])
        elif name not in before:
            yield Change(What.ADDED, kind, name, after[name][0], after=after[name][1])
        elif before[name] != after[name]:
            marked = list(difflib.ndiff([before[name][0], *before[name][1]], [after[name][0], *after[name][1]]))
            gone = tuple(line[2:] for line in marked if line.startswith("- "))
            come = tuple(line[2:] for line in marked if line.startswith("+ "))
            yield Change(What.CHANGED, kind, name, after[name][0], gone, come)


def _of_rules(old: Pack, new: Pack) -> Iterator[Change]:
    before, after = sentences(old.definition), sentences(new.definition)
    for kind in ("cohort", "indicator", "stratifier", "parameter"):
        yield from _lines(
            kind,
            {name: said for (of, name), said in before.items() if of == kind},
            {name: said for (of, name), said in after.items() if of == kind},
        )


def _of_codelists(old: Pack, new: Pack) -> Iterator[Change]:
    before, after = old.definition.codelists, new.definition.codelists
    for name in sorted({*before, *after}):
        if name not in after:
            codes = before[name].codes
            yield Change(What.REMOVED, "codelist", name, before[name].title, codes_removed=codes)
        elif name not in before:
            yield Change(What.ADDED, "codelist", name, after[name].title, codes_added=after[name].codes)
        elif before[name] != after[name]:
            yield _of_codelist(before[name], after[name])


def _of_codelist(old: Codelist, new: Codelist) -> Change:
    said = [
        (f"{field}: {getattr(old, field)}", f"{field}: {getattr(new, field)}")
        for field in ("title", "source", "version")
        if getattr(old, field) != getattr(new, field)
    ]
    for number, code in old.by_code.items():
        other = new.by_code.get(number)
        if other is not None and other != code:
            said.append((_code(code), _code(other)))
    return Change(
        What.CHANGED,
        "codelist",
        new.name,
        new.title,
        tuple(before for before, _ in said),
        tuple(after for _, after in said),
        tuple(code for code in new.codes if code.code not in old.by_code),
        tuple(code for code in old.codes if code.code not in new.by_code),
    )


def _of_templates(old: Pack, new: Pack) -> Iterator[Change]:
    def said(pack: Pack) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        return {
            name: (template.title, tuple(f"{item.link_id}: {item.text}" for item in template.walk()))
            for name, template in pack.templates.items()
        }

    yield from _lines("template", said(old), said(new))
    words = {change.name for change in _lines("template", said(old), said(new))}
    for name in sorted({*old.templates} & {*new.templates} - words):
        if old.templates[name].text != new.templates[name].text:
            yield Change(
                What.CHANGED, "template", name, new.templates[name].title, after=("What it records or shows.",)
            )


def _code(code: Code) -> str:
    return f"{code.code} {code.term}" + (f" ({code.category})" if code.category else "")


def in_words(changes: tuple[Change, ...]) -> str:
    """Give the changes as text: a heading for each part, then its lines, - for what was and + for what is."""
    if not changes:
        return "Nothing has changed."
    lines: list[str] = []
    for change in changes:
        lines += ["", f"{change.kind} {change.name} {change.what}: {change.title}"]
        lines += [f"  - {line}" for line in change.before]
        lines += [f"  + {line}" for line in change.after]
        lines += [f"  - code {_code(code)}" for code in change.codes_removed]
        lines += [f"  + code {_code(code)}" for code in change.codes_added]
    return "\n".join(lines[1:])
