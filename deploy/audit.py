"""`make audit`: asks public advisories for known weaknesses of every package that the lock files pin.

Here: pip-audit over the Python locks and npm's own audit over package-lock.json, and what their answers come to. Not
here: choosing versions (`make lock`), and anything that `make check` needs: nobody may answer, and that is no fault of
the code's. What was not answered is never called clean: pip-audit itself ends well where it was told nothing.

Ends with 0 when every package was answered for and none is weak, 1 when one is, 3 when some were not answered for. make
prints that number and ends with its own 2.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LOCKS", "Found", "of_npm", "of_pip_audit", "outcome"]

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (
    "deploy/requirements.txt",
    "deploy/requirements-dev.txt",
    "deploy/requirements-bench.txt",
    "deploy/requirements-audit.txt",
    "deploy/requirements-node.txt",
)
"""Locks of Python packages. One package may stand in several."""
SOURCES = ("pypi", "osv")
"""Who is asked, the second where the first does not answer."""
_SECONDS = 900
_CLEAN, _WEAK, _UNANSWERED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit came to: weaknesses, and what nobody answered for, each in words. `asked` counts packages."""

    asked: int
    weak: Sequence[str]
    unanswered: Sequence[str]


def of_pip_audit(answer: str) -> Found:
    """What pip-audit's JSON says. A package that it skipped was not answered for."""
    found = _object(answer)
    packages = found.get("dependencies") if found else None
    if not isinstance(packages, list) or not packages:
        return Found(0, (), ("the advisory source did not answer",))
    weak = [
        f"{each['name']} {each['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for each in packages
        for flaw in each.get("vulns", ())
    ]
    return Found(len(packages), weak, [f"{each['name']}" for each in packages if "skip_reason" in each])


def of_npm(answer: str) -> Found:
    """What `npm audit --json` says."""
    found = _object(answer)
    counts = found.get("metadata") if found else None
    weak = found.get("vulnerabilities") if found else None
    if not isinstance(counts, dict) or not isinstance(weak, dict):
        return Found(0, (), ("the advisory source did not answer",))
    total = counts["dependencies"]["total"]
    return Found(total, [f"{name}: {each['severity']}" for name, each in sorted(weak.items())], ())


def outcome(found: Mapping[str, Found]) -> int:
    """The exit code of several audits."""
    if any(each.weak for each in found.values()):
        return _WEAK
    return _UNANSWERED if not found or any(each.unanswered for each in found.values()) else _CLEAN


def _object(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _ask_about_python(lock: str) -> Found:
    """Ask each source in turn until one answers for everything."""
    program = Path(sys.executable).with_name("pip-audit")
    found = Found(0, (), ("pip-audit is not installed",))
    for source in SOURCES if program.exists() else ():  # one that answers for more counts
        command = [str(program), "--require-hashes", "--disable-pip", "--requirement", str(ROOT / lock)]
        command += [
            "--vulnerability-service",
            source,
            "--format",
            "json",
            "--progress-spinner",
            "off",
            "--timeout",
            "15",
        ]
        answered = of_pip_audit(_answer(command))
        found = answered if answered.asked or not found.asked else found
        if found.weak or not found.unanswered:
            break
    return found


def _ask_about_npm() -> Found:
    npm = shutil.which("npm")
    if npm is None:
        return Found(0, (), ("npm is not installed",))
    return of_npm(_answer([npm, "audit", "--json", "--package-lock-only"]))


def _answer(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the two programs above, with arguments of this file
            command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def main() -> int:
    """Ask, and tell."""
    found = {lock: _ask_about_python(lock) for lock in LOCKS} | {"package-lock.json": _ask_about_npm()}
    for lock, each in found.items():
        print(f"{lock}: {each.asked} packages, {len(each.weak)} weaknesses, {len(each.unanswered)} not answered for")
        for line in each.weak:
            print(f"  WEAK  {line}")
        if each.unanswered:
            print(f"  NOT ANSWERED  {', '.join(each.unanswered)}")
    words = {
        _CLEAN: "No weakness is known of any pinned package.",
        _WEAK: "Weaknesses are known: take newer versions (make lock), or record why one does not matter here.",
        _UNANSWERED: "Nothing can be said of what was not answered for. Run this where the source can be reached.",
    }
    code = outcome(found)
    print(words[code])
    return code


if __name__ == "__main__":
    sys.exit(main())
