"""A pack's page as HTML that stands alone: no script, nothing fetched, readable on paper.

It reads the Markdown that `page` writes, which uses headings, lists, tables, paragraphs and code; nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

from cohortium_plugins.pack import Pack
from cohortium_plugins.page import markdown_page

__all__ = ["html_page"]

_STYLE = (
    "body{font:16px/1.5 Arial,sans-serif;color:#212b32;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4em .6em;"
    "border-bottom:1px solid #d8dde0}h1,h2,h3{line-height:1.25}code{overflow-wrap:anywhere}"
    "@media print{body{margin:0;max-width:none}h2,h3{break-after:avoid}tr{break-inside:avoid}}"
)
_KIND = re.compile(r"(?P<heading>#{1,6} )|(?P<item>- )|(?P<row>\|)|(?P<blank>\s*$)")


def html_page(pack: Pack) -> str:
    """Give the page."""
    body = "\n".join(_blocks(markdown_page(pack).splitlines()))
    title = escape(f"{pack.title} {pack.version}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en-GB"><head>{head}{view}</head>\n<body><main>\n{body}\n</main></body></html>\n'
    )


def _kind(line: str) -> str:
    found = _KIND.match(line)
    return "text" if found is None or found.lastgroup is None else found.lastgroup


def _blocks(lines: list[str]) -> Iterator[str]:
    for kind, some in groupby(lines, _kind):
        block = list(some)
        if kind == "heading":
            for line in block:
                level = len(line) - len(line.lstrip("#"))
                yield f"<h{level}>{_inline(line[level + 1 :])}</h{level}>"
        elif kind == "item":
            yield "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in block) + "</ul>"
        elif kind == "row":
            yield _table(block)
        elif kind == "text":
            yield f"<p>{_inline(' '.join(block))}</p>"


def _table(block: list[str]) -> str:
    rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block]
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[2:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
