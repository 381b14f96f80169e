"""Backups of files: sealed, added to, taken up after a kill, and put back as they were or not at all."""

import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from cohortium_platform.errors import BadInput, CohortiumError, Conflict, NotFound, Unavailable
from cohortium_platform.keys import TenantKeys
from cohortium_platform.portability import sealing
from cohortium_platform.portability.backups import BACKED_UP, NOT_BACKED_UP, back_up, restore
from cohortium_platform.portability.sealing import PIECE_BYTES, opened_pieces, sealed_bytes, sealed_pieces

HERE = Path(__file__).parent
CONTENT = {
    "records/Z10001/gp/events-1.parquet": b"a birth date 1953-04-01" * 3,
    "records/Z10001/gp/people-1.parquet": os.urandom(PIECE_BYTES + 17),
    "results/cancer-care/list-1.parquet": b"",
    "opt-outs/cleared.parquet": os.urandom(PIECE_BYTES),
    "previews/1.parquet": b"p",
    "incidents/2.parquet": b"i",
}


def make_keys():
    return TenantKeys(uuid4(), *(os.urandom(32) for _ in range(4)))


@pytest.fixture
def keys():
    return make_keys()


@pytest.fixture
def root(tmp_path, keys):
    write(tmp_path / "store", keys, CONTENT)
    write(tmp_path / "store", keys, {f"{folder}/left-out": b"x" for folder in NOT_BACKED_UP})
    return tmp_path / "store"


def write(root, keys, content):
    for path, plain in content.items():
        place = root / str(keys.tenant_id) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(plain)


def read(root, keys):
    home = root / str(keys.tenant_id)
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def sealed_in(folder, keys):
    return sorted((folder / str(keys.tenant_id) / "files").iterdir())


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
def test_a_stream_opens_as_it_was_sealed_and_has_the_length_that_was_said(keys, size):
    plain = os.urandom(size)
    sealed = b"".join(sealed_pieces(keys, io.BytesIO(plain), b"x"))
    assert len(sealed) == sealed_bytes(size)
    assert b"".join(opened_pieces(keys, io.BytesIO(sealed), b"x")) == plain
    assert b"".join(sealed_pieces(keys, io.BytesIO(plain), b"x")) != sealed


def test_a_stream_that_was_touched_in_any_way_does_not_open(keys, monkeypatch):
    monkeypatch.setattr(sealing, "PIECE_BYTES", 64)
    plain = os.urandom(64 * 3)
    sealed = b"".join(sealed_pieces(keys, io.BytesIO(plain), b"x"))
    head, size = len(sealed) - 3 * 80, 80
    pieces = [sealed[head + n * size : head + (n + 1) * size] for n in range(3)]
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    cut = [sealed[:at] for at in range(len(sealed))]
    moved = [
        sealed[:head] + pieces[1] + pieces[0] + pieces[2],
        sealed[:head] + pieces[0] + pieces[2],
        sealed[:head] + pieces[0] + pieces[1],
        sealed + pieces[2],
        sealed + b"x",
    ]
    for altered in (*flipped, *cut, *moved):
        with pytest.raises(CohortiumError):
            list(opened_pieces(keys, io.BytesIO(altered), b"x"))
    others = TenantKeys(uuid4(), keys.data, keys.pseudonym, keys.search, keys.audit)
    for whose, context in ((keys, b"y"), (others, b"x"), (make_keys(), b"x")):
        with pytest.raises(CohortiumError):
            list(opened_pieces(whose, io.BytesIO(sealed), context))


# --- backups ----------------------------------------------------------------------------------------------------------


def test_a_lost_store_comes_back_as_it_was(root, keys, tmp_path):
    done = back_up(root, keys, tmp_path / "backups")
    assert (done.files, done.added, done.passed_over) == (len(CONTENT), len(CONTENT), 0)
    shutil.rmtree(root)
    back = restore(root, keys, tmp_path / "backups")
    assert (back.point, back.files, back.bytes, back.already_there) == (done.point, done.files, done.bytes, 0)
    assert read(root, keys) == CONTENT
    assert restore(root, keys, tmp_path / "backups").already_there == len(CONTENT)


def test_every_folder_of_a_tenant_is_backed_up_or_says_why_not(root, keys):
    assert {path.name for path in (root / str(keys.tenant_id)).iterdir()} == {*BACKED_UP, *NOT_BACKED_UP}


def test_nothing_readable_lies_in_a_backup_and_others_may_not_look(root, keys, tmp_path):
    back_up(root, keys, tmp_path / "backups")
    for path in (tmp_path / "backups" / str(keys.tenant_id)).rglob("*"):
        assert not {"Z10001", "cancer-care"} & set(path.name.split("/"))
        if path.is_file():
            content = path.read_bytes()
            assert b"1953-04-01" not in content
            assert b"Z10001" not in content
            assert path.stat().st_mode & 0o077 == 0
        else:
            assert path.stat().st_mode & 0o077 == 0


def test_a_later_backup_adds_what_is_new_and_the_earlier_point_stays(root, keys, tmp_path):
    first = back_up(root, keys, tmp_path / "backups")
    (root / str(keys.tenant_id) / "previews" / "1.parquet").unlink()
    write(root, keys, {"records/Z10001/gp/events-2.parquet": b"more"})
    second = back_up(root, keys, tmp_path / "backups")
    assert (second.files, second.added) == (len(CONTENT), 1)
    shutil.rmtree(root)
    restore(root, keys, tmp_path / "backups", first.point)
    assert read(root, keys) == CONTENT
    shutil.rmtree(root)
    restore(root, keys, tmp_path / "backups")
    assert read(root, keys).keys() == {*CONTENT, "records/Z10001/gp/events-2.parquet"} - {"previews/1.parquet"}
    with pytest.raises(NotFound, match="no such backup"):
        restore(root, keys, tmp_path / "backups", "2001-01-01")


def test_a_file_that_was_damaged_is_put_back(root, keys, tmp_path):
    back_up(root, keys, tmp_path / "backups")
    write(root, keys, {"records/Z10001/gp/events-1.parquet": CONTENT["records/Z10001/gp/events-1.parquet"][:-1] + b"?"})
    assert restore(root, keys, tmp_path / "backups").already_there == len(CONTENT) - 1
    assert {path: plain for path, plain in read(root, keys).items() if path in CONTENT} == CONTENT


def test_a_sealed_file_that_was_touched_exchanged_or_lost_is_not_put_back(root, keys, tmp_path):
    back_up(root, keys, tmp_path / "backups")
    shutil.rmtree(root)
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "backups", whole)
    names = [path.name for path in sealed_in(whole, keys)]
    for at in range(len(names)):
        folder = tmp_path / f"harmed-{at}"
        shutil.copytree(whole, folder)
        one, other = sealed_in(folder, keys)[at], sealed_in(folder, keys)[at - 1]
        one.write_bytes(other.read_bytes())
        with pytest.raises(CohortiumError, match="cannot be opened"):
            restore(root, keys, folder)
        one.unlink()
        with pytest.raises(Unavailable, match="is missing"):
            restore(root, keys, folder)
        assert all(CONTENT[path] == plain for path, plain in read(root, keys).items())
        shutil.rmtree(root)


def test_a_point_under_another_name_does_not_open(root, keys, tmp_path):
    done = back_up(root, keys, tmp_path / "backups")
    points = tmp_path / "backups" / str(keys.tenant_id) / "points"
    (points / done.point).rename(points / "2099-01-01T000000.000000Z")
    with pytest.raises(CohortiumError, match="cannot be opened"):
        restore(root, keys, tmp_path / "backups")


def test_without_the_tenants_keys_nothing_opens(root, keys, tmp_path):
    back_up(root, keys, tmp_path / "backups")
    shutil.rmtree(root)
    other = make_keys()
    with pytest.raises(NotFound):
        restore(root, other, tmp_path / "backups")
    taken = TenantKeys(keys.tenant_id, other.data, other.pseudonym, keys.search, other.audit)
    with pytest.raises(CohortiumError, match="key that is gone"):
        restore(root, taken, tmp_path / "backups")
    assert not root.exists()


def test_links_are_not_followed_and_the_store_holds_no_backup_of_itself(root, keys, tmp_path):
    (tmp_path / "secret").write_bytes(b"of the machine")
    (root / str(keys.tenant_id) / "records" / "link").symlink_to(tmp_path / "secret")
    assert back_up(root, keys, tmp_path / "backups").files == len(CONTENT)
    with pytest.raises(BadInput, match="in the store"):
        back_up(root, keys, root / "backups")


def test_two_do_not_write_at_once(root, keys, tmp_path):
    back_up(root, keys, tmp_path / "backups")
    held = os.open(tmp_path / "backups" / str(keys.tenant_id), os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        for act in (back_up, restore):
            with pytest.raises(Conflict, match="in use"):
                act(root, keys, tmp_path / "backups")
    finally:
        os.close(held)


def run_killed(what, root, keys, folder, times):
    return subprocess.run(
        [sys.executable, HERE / "killed_backup.py", what, root, folder, str(times), str(keys.tenant_id)],
        input=f"{keys.data.hex()}\n{keys.search.hex()}\n".encode(),
        check=False,
    ).returncode


def test_what_is_killed_anywhere_goes_on_and_ends_whole(root, keys, tmp_path):
    for times in (1, 4, len(CONTENT) + 1, len(CONTENT) + 2):
        killed = tmp_path / f"killed-{times}"
        assert run_killed("back_up", root, keys, killed, times) == -signal.SIGKILL
        with pytest.raises(NotFound, match="There are: none"):
            restore(root, keys, killed)
        assert back_up(root, keys, killed).added == max(0, len(CONTENT) - times + 1)
    assert run_killed("back_up", root, keys, tmp_path / "backups", 4) == -signal.SIGKILL
    done = back_up(root, keys, tmp_path / "backups")
    assert (done.files, done.added) == (len(CONTENT), len(CONTENT) - 3)
    assert len(sealed_in(tmp_path / "backups", keys)) == len(CONTENT)
    shutil.rmtree(root)
    for times in (1, 2, 3):
        assert run_killed("restore", root, keys, tmp_path / "backups", times) == -signal.SIGKILL
        there = {path: plain for path, plain in read(root, keys).items() if not path.split("/")[-1].startswith(".")}
        assert all(CONTENT[path] == plain for path, plain in there.items())
    restore(root, keys, tmp_path / "backups")
    assert read(root, keys) == CONTENT
