"""Cells of files that people open in a spreadsheet. Not here: tables and who may have them."""

from __future__ import annotations

__all__ = ["plain_cell"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
