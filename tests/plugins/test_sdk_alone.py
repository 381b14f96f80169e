"""The SDK installs alone: with it, pytest and a new pack, and nothing of the server, golden patients run."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from cohortium_plugins.skeleton import write_pack

ROOT = Path(__file__).parents[2]
NEEDED = (
    "_cffi_backend*",
    "_pytest",
    "cffi",
    "cryptography",
    "iniconfig",
    "packaging",
    "pluggy",
    "py.py",
    "pygments",
    "pytest",
)
"""What the SDK and pytest stand on: linked from the pinned packages of this environment, nothing is fetched."""


def test_a_new_pack_runs_its_golden_patients_without_a_server(tmp_path):
    pack = write_pack("alone-care", "acme", tmp_path)
    wheels = tmp_path / "wheels"
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", wheels]
    subprocess.run([sys.executable, *build, ROOT / "plugins", pack], check=True, timeout=120)
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("python3.*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for pattern in NEEDED:
        for path in here.glob(pattern):
            (site / path.name).symlink_to(path)
    install = ["-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", *wheels.iterdir()]
    subprocess.run([sys.executable, *install], check=True, timeout=120)

    def run(*words):
        return subprocess.run([python, *words], cwd=pack, capture_output=True, text=True, timeout=120, check=False)

    assert run("-c", "import cohortium_platform").returncode != 0
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout
    golden = pack / "cohortium_pack_alone_care" / "golden" / "blood-pressure-taken.toml"
    golden.write_text(golden.read_text().replace('"not_applicable"', '"met"'))
    wrong = run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert wrong.returncode == 1
    assert "blood-pressure-taken: status: expected met, got not_applicable" in wrong.stdout
