import json
import re

import pyarrow.parquet as pq
import pytest

from data_preprocess.core.cli import main

SCRIPT = '''
from data_preprocess.core import Dataset, Drop, Source, make_row
from data_preprocess.core.filters import ImageFilter

DATASET = Dataset(domain="math", name="sums", train=Source("nobody/sums"), test=Source("nobody/sums", split="test"),
                  filters=(ImageFilter(),), options={"suffix": ""})

def get_datasets(cache_dir):
    return [{"question": "1+1", "answer": "2"}], None

def make_map_fn(split, data_source, suffix):
    def process_fn(example, index):
        if example["answer"] == "?":
            raise Drop("open problem")
        if example["answer"] == "skip":
            return dict.fromkeys(("data_source", "prompt"))
        return make_row(data_source, example["question"] + suffix, example["answer"], "math", {"source": "mine"})
    return process_fn
'''


@pytest.fixture
def run(tmp_path):
    """Runs a script of the user's own on raw rows; -> exit status."""

    def run(*flags, script=SCRIPT, train=None, test=None, out="out"):
        (tmp_path / "sums.py").write_text(script)
        raw = tmp_path / "raw"
        raw.mkdir(exist_ok=True)
        for split, rows in (("train", train), ("test", test)):
            if rows is not None:
                (raw / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        inputs = ["--input-dir", str(raw)] if train is not None else []
        return main(str(tmp_path / "sums.py"), [*inputs, "--data-dir", str(tmp_path / out), *flags])

    return run


def sums(count, start=0):
    return [{"question": f"{n}+1", "answer": str(n + 1)} for n in range(start, start + count)]


def test_from_raw_rows_to_parquet_and_card(run, tmp_path, capsys):
    raw = sums(5) + [{"question": "P=NP", "answer": "?"}, {"question": "<image>", "answer": "1"}, *sums(2),
                     {"question": "x", "answer": "skip"}]  # yapf: disable
    assert run(train=raw, test=sums(1, 90)) == 0
    row = pq.read_table(tmp_path / "out/train/math__sums_5.parquet").to_pylist()[1]
    row_id = row["extra_info"].pop("id")
    assert row == {
        "data_source": "math__sums",
        "prompt": [{
            "role": "user",
            "content": "1+1"
        }],
        "ability": "math",
        "apply_chat_template": True,
        "reward_model": {
            "style": "rule",
            "ground_truth": "2"
        },
        "extra_info": {
            "source": "mine",
            "split": "train",
            "index": 1
        },
    }
    assert re.fullmatch("math__sums-[0-9a-f]{16}", row_id)
    card = json.loads((tmp_path / "out/train/math__sums_5.parquet.card.json").read_text())
    assert (card["read"], card["kept"], card["written"]) == (10, 5, 5)
    assert card["dropped"] == {
        "open problem": 1,
        "skipped by the script": 1,
        "needs an image": 1,
        "duplicate prompt (exact)": 2
    }
    assert card["shown"]["needs an image"] == ["<image>"]
    assert card["lengths"] == {"4": 5} and card["sources"] == {"math__sums": 5}
    assert (tmp_path / "out/test/math__sums_1.parquet").exists()
    out = capsys.readouterr().out
    assert "10 read, 5 kept, 5 written" in out and card["sha256"] in out


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_one_seed_one_file_whatever_the_processes(run, tmp_path):
    raw, flags = sums(3000), ["--train-sample-size", "200", "--seed", "7"]
    for out, processes in (("a", "1"), ("b", "2"), ("c", "1")):
        assert run(*flags, "--num-proc", processes, train=raw, out=out) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b") == files(tmp_path / "c")
    assert run(*flags, "--seed", "8", train=raw, out="d") == 0
    assert files(tmp_path / "d") != files(tmp_path / "a")


def test_ids_are_the_same_in_another_sample_and_unique(run, tmp_path):
    ids = []
    for seed, rows in (("1", sums(50)), ("2", sums(50)[::-1])):
        assert run("--seed", seed, train=rows, out=seed) == 0
        table = pq.read_table(tmp_path / seed / "train/math__sums_50.parquet")
        ids.append([info["id"] for info in table["extra_info"].to_pylist()])
    assert len(set(ids[0])) == 50 and sorted(ids[0]) == sorted(ids[1])


@pytest.mark.parametrize(("flags", "left"), [((), 3), (("--dedupe", "normalized"), 2), (("--dedupe", "off"), 4)])
def test_duplicates(run, tmp_path, flags, left):
    rows = [{"question": question, "answer": "1"} for question in ("A b?", "a  B", "A b?", "c")]
    assert run(*flags, train=rows) == 0
    assert (tmp_path / f"out/train/math__sums_{left}.parquet").exists()


def test_rows_of_another_files_test_set_are_dropped(run, tmp_path):
    words = " ".join(f"word{n}" for n in range(20))
    assert run(train=[{"question": words, "answer": "1"}], out="tests") == 0
    rows = [{"question": f"please: {words[:-3]} {n}", "answer": "1"} for n in range(2)] + sums(1)
    assert run("--against", str(tmp_path / "tests/train/math__sums_1.parquet"), train=rows) == 0
    card = json.loads((tmp_path / "out/train/math__sums_1.parquet.card.json").read_text())
    assert card["dropped"] == {"shares 13 words with a test set": 2}


def test_names_and_options(run, tmp_path):
    assert run("--domain", "ood", "--name", "livebench", "--suffix", " please", train=sums(1)) == 1  # needs its task
    assert run("--name", "more", "--suffix", " please", train=sums(1)) == 0
    row, = pq.read_table(tmp_path / "out/train/math__more_1.parquet").to_pylist()
    assert row["data_source"] == "math__more" and row["prompt"][0]["content"] == "0+1 please"


def test_get_datasets_serves_where_no_input_is_named(run, tmp_path):
    assert run() == 0
    assert (tmp_path / "out/train/math__sums_1.parquet").exists()


GOOD = 'make_row(data_source, example["question"] + suffix, example["answer"], "math", {"source": "mine"})'


@pytest.mark.parametrize(("row", "message"), [
    ('make_row("mth__x", "q", "1", "math")', "math/sums (train), row 1, field data_source: no reward scores"),
    ('make_row(data_source, " ", "1", "math")', r"row 1, field prompt[0].content: is empty"),
    ('make_row(data_source, [], "1", "math")', "row 1, field prompt: must be a list"),
    ('make_row(data_source, [{"role": "usr", "content": "q"}], "1", "math")', "field prompt[0].role: 'usr' is none of"),
    ('make_row(data_source, "q", "", "math")', "row 1, field reward_model.ground_truth: is ''"),
    ('make_row(data_source, "q", float("nan"), "math")', "row 1, field reward_model.ground_truth: is nan"),
    ('make_row(data_source, "q", "1", "")', "row 1, field ability"),
    ('make_row(data_source, "q", "1", "math", apply_chat_template=False)', "row 1, field raw_prompt: is needed"),
    ('make_row("reasoning_gym", "q", "1", "math", {"task": "x"})', "row 1, field extra_info.entry: is missing"),
    ('example["problem"]', "row 1: KeyError: 'problem'; the example has the fields question, answer"),
])
def test_a_row_that_training_could_not_use_is_told(run, tmp_path, capsys, row, message):
    script = SCRIPT.replace(GOOD, f"{GOOD} if index == 0 else {row}")
    assert script != SCRIPT
    assert run(script=script, train=sums(2)) == 1
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.parquet"))


@pytest.mark.parametrize(("flags", "train", "message"), [
    (("--max-prompt-tokens", "10"), sums(1), "--max-prompt-tokens needs --tokenizer"),
    (("--tokenizer", "/nowhere"), sums(1), "/nowhere"),
    (("--against", "/nowhere.parquet"), sums(1), "/nowhere.parquet: there is no such file"),
    ((), [{
        "question": "P=NP",
        "answer": "?"
    }], "no row is left of 1; dropped: {'open problem': 1}"),
    ((), [], "no row is left of 0"),
])
def test_bad_input_is_told(run, capsys, flags, train, message):
    assert run(*flags, train=train) == 1
    assert message in capsys.readouterr().err


def test_a_filter_that_fails_stops_the_run(run, tmp_path, capsys):
    failing = SCRIPT.replace("ImageFilter()", "Failing()").replace(
        "DATASET =", """
class Failing:
    reason = "fails"
    def check(self, rows):
        raise ValueError("the filter's tokenizer is gone")

DATASET =""", 1)
    assert run("--num-proc", "2", script=failing, train=sums(2500)) == 1
    assert "the filter's tokenizer is gone" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_fields_that_only_some_rows_have_become_null(run, tmp_path):
    script = SCRIPT.replace('{"source": "mine"}', '{"source": "mine"} if index < 1500 else {"other": [index]}')
    assert run(script=script, train=sums(2000)) == 0
    rows = pq.read_table(tmp_path / "out/train/math__sums_2k.parquet")["extra_info"].to_pylist()
    assert rows[0]["source"] == "mine" and rows[0]["other"] is None
    assert rows[-1]["source"] is None and rows[-1]["other"] == [1999]


def test_a_field_of_several_types_is_told(run, capsys):
    script = SCRIPT.replace('example["answer"], "math"', '[1] if index else "a", "math"')
    assert run(script=script, train=sums(2)) == 1
    assert "several types" in capsys.readouterr().err


def test_prompts_are_measured_with_the_tokenizer(run, tmp_path):
    from tests.support.runs import make_tokenizer
    make_tokenizer().save_pretrained(tmp_path / "tokenizer")
    rows = [{"question": "ab" * n, "answer": "1"} for n in range(1, 9)]
    assert run("--tokenizer", str(tmp_path / "tokenizer"), "--max-prompt-tokens", "9", train=rows) == 0
    card, = (json.loads(path.read_text()) for path in tmp_path.rglob("*.card.json"))
    assert card["unit"] == "tokens" and 0 < card["kept"] < 8
    assert card["dropped"] == {"prompt of more than 9 tokens": 8 - card["kept"]}


def test_no_prompt_lands_on_both_sides_of_a_cut(run, tmp_path):
    script = SCRIPT.replace('test=Source("nobody/sums", split="test")', "test_share=0.5")
    assert run(script=script, train=sums(20) * 3) == 0
    prompts = [[row["prompt"][0]["content"] for row in pq.read_table(path).to_pylist()]
               for path in (tmp_path / "out").rglob("*.parquet")]  # yapf: disable
    assert len(prompts) == 2 and sorted(prompts[0] + prompts[1]) == sorted(f"{n}+1" for n in range(20))


def test_ids_that_the_script_gives_must_be_unique(run, tmp_path, capsys):
    script = SCRIPT.replace('{"source": "mine"}', '{"id": example["answer"]}')
    rows = [{"question": "1+1", "answer": "2"}, {"question": "0+2", "answer": "2"}]
    assert run(script=script, train=rows) == 1
    assert "extra_info.id '2' belongs to two rows" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.parquet"))
