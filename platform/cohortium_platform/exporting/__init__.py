"""Exporters: having one write a file, in a process of its own, with limits of time and memory.

Not here: which rows somebody may have (auth, web), and where a file waits to be fetched (tenants).
"""

from cohortium_platform.exporting.apart import EXPORTING, ExportFailed, write_apart

__all__ = ["EXPORTING", "ExportFailed", "write_apart"]
