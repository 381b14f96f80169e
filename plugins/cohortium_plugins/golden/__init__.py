"""Golden patients: records written by hand, with what each indicator must say of them on a date.

They are the tests of a pack, they travel with it, and they are run by its author, by every engine and by the server
before it lists a version. The format is in `docs/pack-developer/golden-patients.md`. Not here: pytest (`testing`).
"""

from cohortium_plugins.golden.cases import Case, ExpectedMember, ExpectedResult
from cohortium_plugins.golden.reading import GoldenFile, read_file, read_files
from cohortium_plugins.golden.running import Answer, Difference, Engine, check, differences, interpret, only

__all__ = [
    "Answer",
    "Case",
    "Difference",
    "Engine",
    "ExpectedMember",
    "ExpectedResult",
    "GoldenFile",
    "check",
    "differences",
    "interpret",
    "only",
    "read_file",
    "read_files",
]
