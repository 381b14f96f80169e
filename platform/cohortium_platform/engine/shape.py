"""How a rule hangs together: what is about a row and what about the patient, and what must be known before what.

Not here: collecting what is to be read (`plan`), and what operations mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import Frame, Node, Series

__all__ = ["Shape", "is_about_row", "parts_of", "patient_parts", "rows_of"]


def parts_of(series: Series) -> Iterator[Series]:
    """Yield the series that a series is made of directly; what stands inside a frame or a pick is not."""
    return (child for child in nodes.children(series) if isinstance(child, Series))


_about_row: WeakKeyDictionary[Series, bool] = WeakKeyDictionary()
"""What `is_about_row` has found: nodes never change, and are asked about again and again."""


def is_about_row(series: Series) -> bool:
    """Tell whether the value depends on the row that a filter looks at."""
    stack = [series]
    while series not in _about_row:
        part = stack[-1]
        unknown = [child for child in parts_of(part) if child not in _about_row]
        stack.extend(unknown)
        if not unknown:
            _about_row[part] = isinstance(part, nodes.RowValue) or any(_about_row[child] for child in parts_of(part))
            stack.pop()
    return _about_row[series]


def patient_parts(condition: Series) -> Iterator[Series]:
    """Yield the largest parts of a filter's condition that are about the patient, each once, in their order."""
    seen: set[Series] = set()
    stack = [condition]
    while stack:
        part = stack.pop()
        if part in seen:
            continue
        seen.add(part)
        if is_about_row(part):
            stack.extend(reversed(list(parts_of(part))))
        else:
            yield part


def rows_of(frame: Frame) -> nodes.Rows:
    """Give the rows that a frame stands on."""
    while isinstance(frame, nodes.Filter | nodes.FirstOfEach):
        frame = frame.frame
    if not isinstance(frame, nodes.Rows):
        raise DefinitionError(f"{type(frame).__name__} is no frame that the engine knows.")
    return frame


class Shape:
    """In which stage each node can be worked out.

    Stage 0 knows facts of the patient. A frame is read in the first stage that knows every value its conditions ask
    for, and what is taken from it is known one stage later.
    """

    def __init__(self) -> None:
        self._stages: dict[Node, int] = {}

    def stage(self, node: Series | Frame) -> int:
        """Give the stage in which a series is known, or a frame can be read."""
        if node not in self._stages:
            for part in nodes.walk(node):
                if part not in self._stages and isinstance(part, Series | Frame):
                    self._stages[part] = self._stage(part)
        return self._stages[node]

    def _stage(self, node: Series | Frame) -> int:
        if isinstance(node, nodes.Rows):
            return 0
        if isinstance(node, nodes.Filter):
            asked = (self.stage(part) for part in patient_parts(node.condition))
            return max(self.stage(node.frame), *asked, 0)
        if isinstance(node, nodes.FirstOfEach):
            return self.stage(node.frame)
        if isinstance(node, nodes.Exists | nodes.Count | nodes.Mean):
            return self.stage(node.frame) + 1
        if isinstance(node, nodes.PickValue):
            return self.stage(node.pick.frame) + 1
        if isinstance(node, Series):
            return max((self.stage(part) for part in parts_of(node)), default=0)
        raise DefinitionError(f"{type(node).__name__} is no frame that the engine knows.")
