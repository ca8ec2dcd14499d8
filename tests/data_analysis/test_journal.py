import json
import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_analysis.journal import Journal, JournalBusyError, read_journal
from data_analysis.progress import LineCounter

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers(), max_size=3), max_size=8)


@given(first=RECORDS, second=RECORDS, cut=st.integers(0, 400))
def test_a_file_cut_anywhere_keeps_its_whole_lines_and_takes_more(tmp_path_factory, first, second, cut):
    path = tmp_path_factory.mktemp("j") / "a.jsonl"
    with Journal(path) as journal:
        for record in first:
            journal.append(record)
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    kept = first[:data.count(b"\n")]
    assert list(read_journal(path)) == kept
    with Journal(path) as journal:
        for record in second:
            journal.append(record)
    assert list(read_journal(path)) == kept + second
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == kept + second
    assert LineCounter(path).count() == len(kept + second)


def test_a_torn_end_longer_than_a_block_is_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 200_000)
    with Journal(path) as journal:
        journal.append({"b": 2})
    assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n'


def test_a_broken_line_within_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\x00\x00\n[]\n{"a": 2}\n')
    assert list(read_journal(path)) == [{"a": 1}, {"a": 2}]
    assert "line 2" in caplog.text and "line 3" in caplog.text


def test_no_file_has_no_records(tmp_path):
    assert list(read_journal(tmp_path / "none")) == []


def hold(path, ready, leave):
    with Journal(path):
        ready.set()
        leave.wait()


def test_one_writer_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "a.jsonl", ready, leave))
    other.start()
    assert ready.wait(30)
    with pytest.raises(JournalBusyError, match="another process is writing"), Journal(tmp_path / "a.jsonl", wait=0.2):
        pass
    other.kill()  # a lock does not outlive its process
    with Journal(tmp_path / "a.jsonl", wait=10):
        pass
    other.join()


def test_a_counter_reads_on_and_begins_anew_when_the_file_shrank(tmp_path):
    path = tmp_path / "a.jsonl"
    counter = LineCounter(path)
    assert counter.count() == 0
    path.write_text("a\nb\nc")
    assert counter.count() == 2
    path.write_text("a\nb\nc\nd\n")
    assert counter.count() == 4
    path.write_text("a\n")
    assert counter.count() == 1
