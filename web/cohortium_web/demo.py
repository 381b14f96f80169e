"""The demonstration: two tenants with synthetic populations, on servers that come as wheels.

Here: where it lies, the settings it runs with, and the steps that make it. Each step looks first at what is there, so a
second start resumes. Not here: showing progress (`cli.demo`) and the populations themselves.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cohortium_platform.errors import BadSettings
from cohortium_platform.keys import FileKeyEncryption
from cohortium_platform.services import ensure_started, remove, stop

__all__ = [
    "INDEX_DATE", "LOCAL_CODE", "TEMPLATE_CODES", "DemoPlaces", "demo_environment", "remove_demo",
    "stop_demo", "use_demo",
]  # fmt: skip

INDEX_DATE = date(2025, 11, 30)
"""The day to which the demonstration's records run: the end of the course of the two retired cancer indicators."""

LOCAL_CODE = 9_000_001
"""The demonstration tenants' own code for "support discussed", of which no published codelist was found. It is no
SNOMED CT identifier, and cannot be taken for one."""

TEMPLATE_CODES = (
    ("what-matters-to-you", None, 9_000_008, "What matters to the person discussed"),
    ("cancer-concern", "physical", 9_000_003, "Physical concern raised"),
    ("cancer-concern", "psychological", 9_000_004, "Psychological concern raised"),
    ("cancer-concern", "social", 9_000_005, "Family or social concern raised"),
    ("cancer-concern", "practical", 9_000_006, "Practical concern raised"),
    ("cancer-concern", "financial", 9_000_007, "Financial concern raised"),
)
"""Codes of their own that reviews record: codelist, category, code and term."""


@dataclass(frozen=True, slots=True)
class DemoPlaces:
    """The folders of a demonstration. Keys lie beside the store, never in it."""

    root: Path

    @property
    def servers(self) -> Path:
        """PostgreSQL and Redis."""
        return self.root / "servers"

    @property
    def store(self) -> Path:
        """Records and results."""
        return self.root / "store"

    @property
    def key_file(self) -> Path:
        """The key-encryption key."""
        return self.root / "keys" / "key-encryption-key"

    @property
    def extracts(self) -> Path:
        """What `synthesise` wrote."""
        return self.root / "extracts"

    @property
    def made(self) -> Path:
        """A file that stands when the demonstration was begun, and says with how many people."""
        return self.root / "demo.json"


def demo_environment(folder: Path) -> Mapping[str, str]:
    """Start the demonstration's servers when they do not run, and give the settings that name them."""
    places = DemoPlaces(folder.resolve())
    services = ensure_started(places.servers)
    FileKeyEncryption.create_file(places.key_file)
    places.store.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": str(places.store),
        "COHORTIUM_KEY_FILE": str(places.key_file),
        "COHORTIUM_DEMO": "true",
    }


def use_demo(folder: Path) -> None:
    """Let this process work on the demonstration in a folder. Raises `BadSettings` when there is none."""
    if not DemoPlaces(folder).made.exists():
        raise BadSettings(
            "There are no settings in the environment, and no demonstration here.",
            "Run `make demo`, or set COHORTIUM_DATABASE_URL and the other settings.",
        )
    os.environ.update(demo_environment(folder))


def begin(folder: Path, people: int) -> int:
    """Note how many people the demonstration has; gives the number of an earlier start when there was one."""
    places = DemoPlaces(folder)
    if places.made.exists():
        return int(json.loads(places.made.read_text())["people"])
    places.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    places.made.write_text(json.dumps({"people": people}))
    return people


def stop_demo(folder: Path) -> None:
    """Stop the servers; everything stays for the next start."""
    if DemoPlaces(folder).servers.exists():
        stop(DemoPlaces(folder.resolve()).servers)


def remove_demo(folder: Path) -> None:
    """Stop the servers and remove all that the demonstration made."""
    if DemoPlaces(folder).servers.exists():
        remove(DemoPlaces(folder.resolve()).servers)
    shutil.rmtree(folder, ignore_errors=True)
