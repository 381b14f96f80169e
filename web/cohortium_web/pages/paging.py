"""Pages of a long list: which one is shown, and where the others are. `templates/registry/paging.html` renders it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from cohortium_web.pages.registry.views import Paging

__all__ = ["PAGE_ROWS", "PageOf"]

PAGE_ROWS = 50
_NEAR = 2


@dataclass(frozen=True, slots=True)
class PageOf:
    """Page `number` of a list of `total` rows."""

    total: int
    number: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, ceil(self.total / PAGE_ROWS))

    @property
    def offset(self) -> int:
        """How many rows stand on the pages before."""
        return (self.number - 1) * PAGE_ROWS

    def within(self) -> PageOf:
        """This page, or the nearest there is."""
        return PageOf(self.total, min(max(self.number, 1), self.last))

    def paging(self, at: Callable[[int], str]) -> Paging:
        """The links to the others, whose addresses `at` gives."""
        number, last = self.number, self.last
        near = sorted({1, last, *range(number - _NEAR, number + _NEAR + 1)} & set(range(1, last + 1)))
        pages: list[tuple[int | None, str]] = []
        for page in near:
            if pages and page - 1 not in near:
                pages.append((None, ""))
            pages.append((page, at(page)))
        return Paging(
            first=self.offset + 1,
            last=max(self.offset, min(self.offset + PAGE_ROWS, self.total)),
            total=self.total,
            number=number,
            pages=pages,
            previous=at(number - 1) if number > 1 else "",
            next=at(number + 1) if number < last else "",
        )
