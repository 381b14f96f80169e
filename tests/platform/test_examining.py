"""What a hostile pack's file comes to: a reason, within 2 seconds of processor time and 200 MiB, and no harm."""

import json
import subprocess
import sys

import pytest

MOST_SECONDS, MOST_BYTES = 2.0, 200 * 2**20
MEASURE = """
import json, resource, sys
from pathlib import Path
from cohortium_platform.examining import Refused, describe_file
try:
    describe_file(Path(sys.argv[1]).read_bytes(), {})
    said = "taken"
except Refused as why:
    said = why.message
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([said, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
"""


@pytest.fixture
def whole(made_packs):
    return json.loads(made_packs.build(made_packs.make()))


def doubled(whole, times):
    """Each node holds the one before it twice: a tree of 2**times leaves in a few lines."""
    definition = whole["content"]["definition"]
    nodes = definition["nodes"]
    true = next(i for i, node in enumerate(nodes) if i == definition["cohorts"][0]["members"])
    for _ in range(times):
        nodes.append({"node": "Compare", "op": "eq", "left": true, "right": true})
        true = len(nodes) - 1
    definition["cohorts"][0]["members"] = true
    return json.dumps(whole).encode()


def with_content(change):
    """A whole file of which something was changed."""

    def made(whole):
        change(whole["content"])
        return json.dumps(whole).encode()

    return made


HOSTILE = {
    "unknown node": with_content(lambda c: c["definition"]["nodes"].append({"node": "Exec", "code": "import os"})),
    "path": with_content(lambda c: c.update(golden={"../../../etc/cron.d/x": 7})),
    "many golden files": with_content(lambda c: c.update(golden={f"{n}.toml": "x" for n in range(400_000)})),
    "many nodes": with_content(lambda c: c["definition"]["nodes"].extend([{"node": "IndexDate"}] * 200_000)),
    "many codes": with_content(
        lambda c: c["definition"]["codelists"][0].update(codes=[[n, "", None, False] for n in range(600_000)])
    ),
    "doubled for ever": lambda whole: doubled(whole, 64),
    "many empty lists": lambda _whole: b'{"format":[' + b"[]," * 4_900_000 + b"[]]}",
    "deep": lambda _whole: b'{"a":' * 200_000,
    "huge": lambda _whole: b" " * (2**24 + 1),
    "huge number": lambda _whole: b'{"format":' + b"9" * 10_000_000 + b"}",
    "zip bomb": lambda _whole: b"PK\x03\x04" + bytes(1_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_or_named_within_its_limits(whole, tmp_path, name):
    file = tmp_path / "pack"
    file.write_bytes(HOSTILE[name](whole))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], check=True, capture_output=True, text=True)
    said, seconds, size = json.loads(done.stdout)
    assert said
    assert said != "taken"
    assert seconds <= MOST_SECONDS + 0.5, (said, seconds)
    assert size <= MOST_BYTES, (said, size)
