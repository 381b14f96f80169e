"""A small pack made for tests, in versions: its file, its publisher, its way through the catalogue.

Bone health: people with osteoporosis (of fracture too, from version 2 on), and whether their bones were scanned within
so many months. Loaded by its path (`conftest.made_packs`), since tests are no package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cohortium_plugins.authoring import Cohort, Indicator, Parameter
from cohortium_plugins.language import events, months, patient
from cohortium_plugins.model import Code, Codelist
from cohortium_plugins.pack import Pack
from cohortium_plugins.packfile import build, sign
from cohortium_tenants.packs.catalogue.changes import Actor
from cohortium_tenants.packs.catalogue.deciding import NewSignOff, sign_off
from cohortium_tenants.packs.catalogue.publishers import add_key, add_publisher
from cohortium_tenants.packs.catalogue.publishing import check_version, keep_outcome, publish

PACK = "bone-health"
OSTEOPOROSIS, FRACTURE, SCAN, ADVICE = 64859006, 125605004, 312681000, 409063005
OPERATOR = Actor("operator", "Olive Operator")
AUTHOR = Actor("author", "Avery Author", "QPUB")
OFFICER = Actor("officer", "Sam Safety", "QPUB")
GOLDEN = """
indicator = "scanned"
index_date = 2025-06-30

[codes]
osteoporosis = 64859006
scan = 312681000

[[patient]]
name = "scanned a year ago to the day"
why = "A scan within 24 months counts."
born = 1950-01-01
sex = "female"
registered = ["2000-01-01"]
events = ["2020-05-01 osteoporosis", "2024-06-30 scan"]
expect = { status = "met", met_date = 2024-06-30 }

[[patient]]
name = "never scanned"
why = "Without a scan it was due on the day of diagnosis."
born = 1950-01-01
sex = "female"
registered = ["2000-01-01"]
events = ["2020-05-01 osteoporosis"]
expect = "overdue"

[[patient]]
name = "nobody of this registry"
why = "Without a diagnosis nobody is a member."
born = 1950-01-01
sex = "female"
registered = ["2000-01-01"]
expect = "not_applicable"
"""
interval = Parameter(
    "scan-interval", months(24), title="Months after which a scan is due again", choices=[months(12), months(24)]
)


def make(
    version: str = "1.0.0",
    *,
    publisher: str = "bone-people",
    golden: str = GOLDEN,
    also: Sequence[tuple[int, str]] = (),
) -> Pack:
    """Version 1 knows osteoporosis; 2 fractures of bone too; any version has one indicator that never changes."""
    diagnosis = [(OSTEOPOROSIS, "Osteoporosis"), *([(FRACTURE, "Fracture of bone")] if version >= "2" else []), *also]
    listed = {
        "bone-disease": diagnosis,
        "bone-scan": [(SCAN, "Bone density scan")],
        "advice": [(ADVICE, "Diet advice")],
    }
    codelists = {
        name: Codelist(name, name, "made for tests", "1", tuple(Code(code, term) for code, term in codes))
        for name, codes in listed.items()
    }
    disease = events("bone-disease").earliest()
    cohort = Cohort(
        "bone-disease", title="People with bone disease", members=patient.is_registered & disease.exists,
        since=disease.date, source="made for tests",
    )  # fmt: skip
    common = {"cohort": cohort, "source": "made for tests", "description": "Made for tests.", "group": "Bones"}
    scanned = Indicator(
        "scanned", title="Bones scanned", met=events("bone-scan").latest(), every=interval,
        **common,
    )  # fmt: skip
    advised = Indicator("advised", title="Diet advised", met=events("advice").latest(), every=months(12), **common)
    advice = golden.replace('"scanned"', '"advised"', 1).replace("312681000", "409063005")
    advice = advice.replace("2024-06-30 scan", "2024-07-01 scan").replace(
        "met_date = 2024-06-30", "met_date = 2024-07-01"
    )
    return Pack.build(
        id=PACK, version=version, title="Bone health", publisher=publisher, codelists=codelists, cohorts=[cohort],
        indicators=[scanned, advised], golden={"scanned.toml": golden, "advised.toml": advice},
    )  # fmt: skip


class Press:
    """A publisher with a key, and what it does."""

    def __init__(self, name: str = "") -> None:
        self.name, self.key = name or f"press-{uuid4().hex[:8]}", Ed25519PrivateKey.generate()

    @property
    def pack_id(self) -> str:
        """The id of its own pack."""
        return f"bones-{self.name.removeprefix('press-')}"

    def make(self, version: str = "1.0.0", also: Sequence[tuple[int, str]] = ()) -> Pack:
        """A version of its own pack, with other diagnoses where wanted."""
        return replace(make(version, publisher=self.name, also=also), id=self.pack_id)

    @property
    def public(self) -> bytes:
        """The public half, raw."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def pem(self) -> str:
        """The public half as PEM."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def enter(self, session) -> str:
        """Be added by the operator with the key; gives the key's id."""
        add_publisher(session, self.name, name=self.name.title(), organisation="QPUB", by=OPERATOR)
        return add_key(session, self.name, self.pem, holder="Kim Keyholder", by=OPERATOR).key_id

    def file(self, pack: Pack) -> bytes:
        """A signed file of a pack."""
        return sign(build(pack), self.key, self.name)

    def bring(self, session, pack: Pack, *, by: Actor = AUTHOR):
        """Publish a version and have it checked."""
        content = self.file(pack)
        row = publish(session, content, by=by)
        return keep_outcome(session, row.content_hash, check_version(content))

    def release(self, session, pack: Pack):
        """The same, signed off as well."""
        row = self.bring(session, pack)
        sign_off(session, row, NewSignOff("Clinical safety officer", date(2026, 1, 5), "HL-7"), by=OFFICER)
        return row
