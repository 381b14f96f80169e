"""A chart of lines over time. `static/lines.js` draws it from the attribute that a page puts it in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Line", "LineChart"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: percentages in the order of the labels, None where there is none. Dashed lines stand beside others."""

    title: str
    values: Sequence[float | None]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over one axis of labels. `description` says in words what the chart shows."""

    description: str
    labels: Sequence[str]
    lines: Sequence[Line]

    def as_json(self) -> str:
        """What the script reads."""
        lines = [{"title": line.title, "values": list(line.values), "dashed": line.dashed} for line in self.lines]
        return json.dumps({"labels": list(self.labels), "lines": lines})
