"""Saves: the old file or the new one, whole, and nothing beside it but what is under way."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tinyvae
from tinyvae.machine import files

needs_locks = pytest.mark.skipif(files.fcntl is None, reason="this system has no fcntl: leftovers are left alone")

NAMES = ["model.npz", "[a-z]*.npz", "a?[0-9].npz", "modèle (1).npz", "model.npz.0123abcd.tmp"]

UNDER_WAY = """
import sys
from tinyvae.machine import files
with files.replacing(sys.argv[1]) as file:
    file.write(b"half of it")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def save_under_way(path):
    """A process that is in the middle of a save of `path` until it is killed or its standard input is closed."""
    env = os.environ | {"PYTHONPATH": str(Path(tinyvae.__file__).parents[1])}
    command = [sys.executable, "-P", "-c", UNDER_WAY, str(path)]
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    return process


def end(process, how=None):
    """Kill it by a signal, or let it finish."""
    if how is not None:
        process.send_signal(how)
    process.communicate(timeout=30)


def beside(path):
    return sorted(set(os.listdir(path.parent)) - {path.name})


@needs_locks
@pytest.mark.parametrize("name", NAMES)
def test_the_next_save_removes_what_a_killed_one_left_and_nothing_else(name, tmp_path):
    path = tmp_path / name
    files.write(path, b"old")
    end(save_under_way(path), signal.SIGKILL)
    [leftover] = beside(path)
    assert re.fullmatch(re.escape(name) + r"\.[0-9a-f]{8}\.tmp", leftover) and path.read_bytes() == b"old"
    others = [
        f"other{name}.01234567.tmp",  # other paths' leftovers
        "a.npz.01234567.tmp",
        f"{name}.0123456.tmp",  # not eight digits
        f"{name}.012345678.tmp",
        f"{name}.0123456G.tmp",
        f"{name}.01234567.tmp.bak",
        f"{name}.01234567.TMP",
        f"{name}-01234567.tmp",
    ]
    for other in others:
        (tmp_path / other).write_bytes(b"mine")
    (tmp_path / f"{name}.89abcdef.tmp").mkdir()
    files.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert beside(path) == sorted([*others, f"{name}.89abcdef.tmp"])
    assert all((tmp_path / other).read_bytes() == b"mine" for other in others)


@needs_locks
def test_a_save_under_way_in_another_process_is_left_alone(tmp_path):
    path = tmp_path / "[a].npz"
    first, second = save_under_way(path), save_under_way(path)
    before = beside(path)
    assert len(before) == 2
    files.write(path, b"mine")
    assert beside(path) == before and path.read_bytes() == b"mine"
    end(first, signal.SIGKILL)
    files.write(path, b"mine again")
    assert len(beside(path)) == 1
    end(second)
    assert second.returncode == 0 and path.read_bytes() == b"half of it" and beside(path) == []


def test_a_save_under_way_in_this_process_is_left_alone(tmp_path):
    path = tmp_path / "model.npz"
    with files.replacing(path) as outer:
        outer.write(b"outer")
        with files.replacing(path) as inner:
            inner.write(b"inner")
            files.write(path, b"third")
            assert len(beside(path)) == 2
        assert path.read_bytes() == b"inner" and len(beside(path)) == 1
    assert path.read_bytes() == b"outer" and beside(path) == []


def test_many_saves_of_one_path_at_once_all_succeed(tmp_path):
    path, errors = tmp_path / "model.npz", []

    def save(data):
        try:
            for _ in range(100):
                files.write(path, data)
                assert path.read_bytes() in contents
        except BaseException as error:
            errors.append(error)

    contents = [bytes([65 + i]) * 1000 for i in range(4)]
    threads = [threading.Thread(target=save, args=(data,), daemon=True) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors and beside(path) == []


@needs_locks
def test_a_file_that_is_taken_for_a_leftover_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    path, swept, lock = tmp_path / "model.npz", [], files._lock

    def late(file):
        if not swept:
            swept.append(file.name)
            files._remove_leftovers(str(path))  # as another process might, just now
            assert not os.path.exists(file.name)
        return lock(file)

    monkeypatch.setattr(files, "_lock", late)
    files.write(path, b"new")
    assert swept and path.read_bytes() == b"new" and beside(path) == []


@needs_locks
def test_the_lock_is_held_until_the_file_has_its_name(tmp_path, monkeypatch):
    path, replace = tmp_path / "model.npz", os.replace

    def late(source, target):
        files._remove_leftovers(str(path))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", late)
    files.write(path, b"new")
    assert path.read_bytes() == b"new" and beside(path) == []


@pytest.mark.parametrize("missing", ["fcntl", "flock"])
def test_without_locks_saves_work_and_leave_leftovers_alone(missing, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("this file system has no locks")

    if missing == "fcntl":
        monkeypatch.setattr(files, "fcntl", None)
    elif files.fcntl is None:
        pytest.skip("this system has no fcntl")
    else:
        monkeypatch.setattr(files.fcntl, "flock", refuse)
    path, leftover = tmp_path / "model.npz", tmp_path / "model.npz.01234567.tmp"
    leftover.write_bytes(b"half of it")
    files.write(path, b"new")
    assert path.read_bytes() == b"new" and beside(path) == [leftover.name]


def test_a_failed_save_leaves_the_old_file_no_leftover_and_no_open_descriptor(tmp_path):
    path = tmp_path / "model.npz"
    files.write(path, b"old")
    open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(5):
        with pytest.raises(KeyError), files.replacing(path) as file:
            file.write(b"half of it")
            raise KeyError
        files.write(path, b"old")
    assert path.read_bytes() == b"old" and beside(path) == []
    assert open_before is None or len(os.listdir("/proc/self/fd")) == open_before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        files.write(tmp_path / "nowhere" / "model.npz", b"new")


def test_an_error_names_the_readers_path_and_nothing_else(tmp_path):
    path = tmp_path / "no such folder" / "model.npz"
    with pytest.raises(FileNotFoundError) as caught:
        files.write(path, b"x")
    assert caught.value.filename == str(path) and "None" not in str(caught.value) and ".tmp" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no links and modes like these")
def test_a_link_stays_a_link_and_a_file_keeps_its_mode(tmp_path):
    (tmp_path / "far").mkdir()
    file, link, new = tmp_path / "far" / "m.npz", tmp_path / "m.npz", tmp_path / "new.npz"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    new.symlink_to(tmp_path / "far" / "new.npz")  # which is not there yet
    for path in (link, new):
        files.write(path, b"new")
        assert path.is_symlink() and path.resolve().parent == file.parent and path.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640 and beside(file) == ["new.npz"]
    for place in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(place, 0o777)
    file.chmod(0o444)
    os.chmod(file.parent, 0o777)
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        for write in (lambda: files.write(link, b"newer"), lambda: files.require_writable(link)):
            with pytest.raises(PermissionError, match="there is a file that cannot be replaced.*m.npz"):
                write()
    finally:
        if root:
            os.seteuid(0)
    assert file.read_bytes() == b"new" and beside(file) == ["new.npz"]
