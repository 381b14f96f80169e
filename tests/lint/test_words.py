"""Words that must not stand in the repository: this machine's paths, addresses of package registries, secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Put together here, or this file would hold them itself.
REGISTRIES = [
    ".".join(parts) for parts in [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com")]
]
PATHS = ["/" + "work/", "/" + "home/", "/" + "Users/"]
PRIVATE_KEY = "-----BEGIN" + " PRIVATE KEY-----"
LOCKS = ["package-lock.json", *(f"deploy/requirements{name}.txt" for name in ("", "-dev", "-bench", "-audit", "-node"))]
BINARY = {".parquet", ".png", ".jpg", ".ico", ".gz", ".zip", ".woff2", ".pyc"}


@pytest.mark.parametrize("word", [*REGISTRIES, *PATHS, PRIVATE_KEY])
def test_a_word_that_tells_of_elsewhere_stands_nowhere(root: Path, all_files: list[Path], word: str) -> None:
    needle = word.encode()
    found = [
        str(file.relative_to(root))
        for file in all_files
        if file.suffix not in BINARY and file != Path(__file__) and needle in file.read_bytes()
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_addresses(root: Path, lock: str) -> None:
    text = (root / lock).read_text()
    assert re.findall(r"(?:https?|git\+\w+|file)://", text) == []
    if lock.endswith(".txt"):
        pinned = re.findall(r"^[a-zA-Z0-9._\[\]-]+==", text, re.MULTILINE)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)
    else:
        assert '"integrity": "sha512-' in text
        assert '"resolved"' not in text
