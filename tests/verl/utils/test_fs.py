import os
import signal
import subprocess
import sys

import pytest

from verl.utils.fs import atomic_directory, atomic_file, atomic_write_text


def test_write_text_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    atomic_write_text(path, "ä")
    atomic_write_text(path, "b\n")
    assert path.read_text(encoding="utf-8") == "b\n" and os.listdir(path.parent) == ["file.txt"]


def test_failed_file_keeps_the_old_one(tmp_path):
    path = tmp_path / "file"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_directory_appears_complete_and_replaces_a_full_one(tmp_path):
    path = tmp_path / "step" / "actor"
    for content in ("1", "2"):
        with atomic_directory(path) as temporary:
            (temporary / f"only_{content}").write_text(content)
            assert not (path / f"only_{content}").exists()
        assert os.listdir(path) == [f"only_{content}"] and os.listdir(path.parent) == ["actor"]


def test_failed_directory_keeps_the_old_one(tmp_path):
    path = tmp_path / "d"
    with atomic_directory(path) as temporary:
        (temporary / "a").touch()
    with pytest.raises(RuntimeError), atomic_directory(path) as temporary:
        (temporary / "b").touch()
        raise RuntimeError
    assert os.listdir(path) == ["a"] and os.listdir(tmp_path) == ["d"]


def test_kill_between_the_renames_is_mended(tmp_path):
    path = tmp_path / "d"
    with atomic_directory(path) as temporary:
        (temporary / "a").touch()
    os.rename(path, tmp_path / ".d.old")  # the state that such a kill leaves
    with pytest.raises(RuntimeError), atomic_directory(path):
        raise RuntimeError
    assert os.listdir(path) == ["a"] and os.listdir(tmp_path) == ["d"]


def test_killed_writer_leaves_no_half_folder_and_the_next_one_cleans_up(tmp_path):
    path = tmp_path / "d"
    code = (
        "import sys, time; from verl.utils.fs import atomic_directory\n"
        "with atomic_directory(sys.argv[1]) as t:\n    (t / 'half').touch(); print('in', flush=True); time.sleep(60)")
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"in\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=10)
    assert not path.exists() and os.listdir(tmp_path) == [".d.tmp"]
    with atomic_directory(path) as temporary:
        (temporary / "whole").touch()
    assert os.listdir(path) == ["whole"] and os.listdir(tmp_path) == ["d"]
