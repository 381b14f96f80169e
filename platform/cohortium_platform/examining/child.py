"""The child: reads one pack's file and says what is in it, as one line of JSON. It has no database, no keys of any
tenant, and limits from before the first byte.

Orders on the command line: `describe` or `check`, the file, seconds, bytes. On standard input: the keys to try.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cohortium_plugins.errors import PackError

__all__ = ["main"]

_MOST_LINES = 200


def _limit(seconds: int, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _describe(file: Path, keys: Mapping[str, Any]) -> Mapping[str, object]:
    from cohortium_plugins.packfile import read, verify  # noqa: PLC0415 - after the limits

    found = read(file)
    signed = []
    for name, (publisher, key) in keys.items():
        try:
            verify(found, {publisher: [bytes.fromhex(key)]})
        except PackError:
            continue
        signed.append(name)
    pack = found.pack
    about = {"pack": pack.id, "version": pack.version, "title": pack.title, "publisher": pack.publisher}
    return {"content_hash": found.hash, "definition_hash": pack.hash, "signed_by": signed, **about}


def _check(file: Path, _keys: Mapping[str, Any]) -> Mapping[str, object]:
    from cohortium_platform.engine.golden import duckdb_engine  # noqa: PLC0415 - after the limits
    from cohortium_plugins.checks import Severity, check_pack  # noqa: PLC0415
    from cohortium_plugins.golden import check, interpret, read_files  # noqa: PLC0415
    from cohortium_plugins.packfile import read  # noqa: PLC0415

    pack = read(file).pack
    findings = [
        {
            "severity": finding.severity.value,
            "check": finding.check,
            "about": " ".join(finding.subject),
            "message": finding.message,
            "advice": finding.advice,
        }
        for finding in check_pack(pack)
    ]
    files = [golden.cases for golden in read_files(pack.golden) if golden.cases]
    lines, engines = [], {"interpreter": interpret, "DuckDB": duckdb_engine}
    for name, engine in engines.items():
        for cases in files:
            lines += [f"{name}: {found.case.patient}: {found}" for found in check(pack.definition, cases, engine)]
    wrong = any(finding["severity"] == Severity.ERROR.value for finding in findings)
    count = sum(map(len, files))
    golden = {"cases": count, "engines": list(engines), "differences": lines[:_MOST_LINES], "wrong": len(lines)}
    return {"passed": bool(files) and not wrong and not lines, "findings": findings[:_MOST_LINES], "golden": golden}


_TASKS: Mapping[str, Callable[[Path, Mapping[str, Any]], Mapping[str, object]]] = {
    "describe": _describe,
    "check": _check,
}


def main() -> None:
    """Do one task."""
    task, file, seconds, size = sys.argv[1:]
    _limit(int(seconds), int(size))
    try:
        said = _TASKS[task](Path(file), json.load(sys.stdin))
    except PackError as wrong:
        said = {"refused": wrong.message, "advice": wrong.advice}
    except MemoryError:
        said = {"refused": "This file needs more memory than any pack may.", "advice": "Build the pack anew."}
    except RecursionError:
        said = {"refused": "This file is nested deeper than any pack is.", "advice": "Build the pack anew."}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
