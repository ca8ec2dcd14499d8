import json
import sys

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reward_score import default_compute_score
from tests.support.spelling import load_script
from verl.config import load_ppo_config, load_sft_config
from verl.config.data import DataConfig
from verl.config.sft import SFTDataConfig
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.dataset.sft_dataset import SFTDataset
from verl.utils.hub import load_hf_config
from verl.utils.rollout_dump import write_rollouts
from verl.utils.tokenizer import load_tokenizer

TASK, REPORT = (load_script(f"scripts/quickstart/{name}.py") for name in ("task", "report"))


@pytest.fixture
def quickstart(monkeypatch, tmp_path):
    """scripts/quickstart/run.py, working in an empty folder."""
    monkeypatch.setitem(sys.modules, "task", TASK)
    monkeypatch.setitem(sys.modules, "report", REPORT)
    module = load_script("scripts/quickstart/run.py")
    monkeypatch.chdir(tmp_path)
    return module


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    TASK.make_data(folder, seed=3)
    TASK.make_model(folder / "model", seed=3)
    return folder


@pytest.fixture(scope="module")
def tokenizer(inputs):
    return load_tokenizer(str(inputs / "model"))


def test_no_question_is_in_both_splits(inputs):
    train, held_out, sft = (pd.read_parquet(inputs / f"{name}.parquet") for name in ("train", "held_out", "sft"))
    question = lambda row: row["prompt"][0]["content"]
    asked, kept_back = (set(rows.apply(question, axis=1)) for rows in (train, held_out))
    assert (len(train), len(held_out), len(sft)) == (8000, 256, 20480)
    assert not asked & kept_back
    assert set(sft["prompt"]) <= asked


def test_data_follows_the_seed(inputs, tmp_path):
    for seed, same in ((3, True), (4, False)):
        (tmp_path / str(seed)).mkdir()
        TASK.make_data(tmp_path / str(seed), seed)
        again = (tmp_path / str(seed) / "train.parquet").read_bytes()
        assert (again == (inputs / "train.parquet").read_bytes()) is same


def test_rows_fit_the_dataset_and_the_recipe(inputs, tokenizer):
    config = DataConfig(max_prompt_length=40)
    for name in ("train", "held_out"):
        rows = RLHFDataset([str(inputs / f"{name}.parquet")], tokenizer, config)
        assert dict(rows.data_sources) == {"reasoning_gym": len(rows)}
        longest = max(len(tokenizer(rows[i].ground_truth)["input_ids"]) for i in range(0, len(rows), 50))
        assert longest + 1 <= 7, "the answer and its end mark fit data.max_response_length"
    sft = SFTDataset([str(inputs / "sft.parquet")], tokenizer, SFTDataConfig(max_length=64))
    assert len(sft) == 20480


def test_the_truth_scores_one_and_a_truncated_truth_less(inputs, tokenizer):
    rows = RLHFDataset([str(inputs / "held_out.parquet")], tokenizer, DataConfig())
    for row in (rows[i] for i in range(0, 256, 32)):
        score = lambda text, row=row: default_compute_score(row.data_source, text, row.ground_truth, row.extra_info)
        assert score(row.ground_truth)["score"] == score(row.ground_truth)["acc"] == 1.0
        assert score(row.ground_truth[:-1])["score"] < 1 and score(row.ground_truth[:-1])["acc"] == 0


def test_the_warm_start_imitates_mostly_short_answers(inputs):
    truths = {row["prompt"][0]["content"]: row["reward_model"]["ground_truth"]
              for row in pd.read_parquet(inputs / "train.parquet").to_dict("records")}  # yapf: disable
    sft = pd.read_parquet(inputs / "sft.parquet")
    wholes = [truths[p] for p in sft["prompt"]]
    short = [response == whole[:-1] for response, whole in zip(sft["response"], wholes, strict=True)]
    assert all(cut or response == whole for cut, response, whole in zip(short, sft["response"], wholes, strict=True))
    assert 0.58 < sum(short) / len(short) < 0.62


@given(st.text("".join(map(chr, range(32, 127))) + "\n\t", max_size=40))
def test_the_tokenizer_gives_any_printable_text_back(text):
    tokenizer = TASK.make_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    specials = [token for token in TASK.SPECIAL if token in text]
    assert tokenizer.decode(ids) == text
    assert specials or tokenizer.pad_token_id not in ids, "the pad token stands for what is unknown"


def test_model_and_tokenizer_belong_together(inputs, tokenizer):
    config = load_hf_config(str(inputs / "model"), False)
    assert config.vocab_size == len(tokenizer)
    assert config.eos_token_id == tokenizer.eos_token_id and config.pad_token_id == tokenizer.pad_token_id
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Spell this word backward"}],
                                         tokenize=False, add_generation_prompt=True)  # yapf: disable
    assert text == "<|user|>Spell this word backward<|assistant|>"
    assert len(tokenizer(text)["input_ids"]) == 6, "the words that every prompt repeats are tokens"


def test_its_arguments_are_accepted(inputs, quickstart, tmp_path):
    """Checked against the config as the command line would be, with the files in their places."""
    quickstart.DATA.parent.mkdir(parents=True)
    quickstart.DATA.symlink_to(inputs)
    quickstart.MODEL.symlink_to(inputs / "model")
    quickstart.WARM_MODEL.parent.mkdir(parents=True)
    quickstart.WARM_MODEL.symlink_to(inputs / "model")
    config = load_sft_config(quickstart.sft_arguments(3))
    assert config.trainer.total_training_steps == quickstart.SFT_STEPS and "hf_model" in config.checkpoint.save_contents
    config = load_ppo_config([*quickstart.rl_arguments(3), "trainer.n_gpus_per_node=2"])
    assert (config.trainer.seed, config.data.seed, config.trainer.n_gpus_per_node) == (3, 3, 2)


def test_the_seed_is_the_last_one_given(quickstart):
    assert quickstart.seed_of([]) == 1
    assert quickstart.seed_of(["trainer.seed=4", "data.seed=9", "+trainer.seed=7"]) == 7


def test_a_stage_is_made_once_and_anew_with_other_settings(quickstart, tmp_path):
    folder, made = tmp_path / "data", []

    def stage(settings, fail=False):

        def make():
            made.append(settings)
            (folder / f"by_{settings}").touch()
            if fail:
                sys.exit(3)

        return quickstart.stage(folder, settings, make)

    seconds = stage("a")
    assert stage("a") == seconds and made == ["a"], "done: skipped, with the time that it took"
    stage("b")
    assert made == ["a", "b"] and [path.name for path in folder.iterdir()] == ["by_b"]
    with pytest.raises(SystemExit):
        stage("c", fail=True)
    (folder / "checkpoint").touch()
    stage("c")
    assert made == ["a", "b", "c", "c"], "failed: made again"
    assert (folder / "checkpoint").exists(), "what the failed attempt left is there to go on from"


def test_a_failing_trainer_ends_the_quick_start_with_its_code(quickstart, capfd):
    with pytest.raises(SystemExit) as end:
        quickstart.train("Reinforcement learning", "verl.trainer.main_ppo", ["data.no_such_key=1"])
    assert end.value.code == 2
    out, err = capfd.readouterr()
    assert "$ python -m verl.trainer.main_ppo data.no_such_key=1" in out and "unknown key data.no_such_key" in err


def test_the_report(tmp_path, capsys):
    """result.json, a picture, and before and after side by side."""
    run = tmp_path / "rl"
    (run / "validation").mkdir(parents=True)
    accuracy = lambda step, value: {"step": step, REPORT.ACCURACY: value}
    train = lambda step: {
        "step": step, "critic/score/mean": 0.3 + step / 10, "perf/total_num_tokens": 1000, "timing_s/step": 0.5 * step
    }  # yapf: disable
    lines = [accuracy(0, 0.25), train(1), train(2) | accuracy(2, 0.75), train(3) | accuracy(3, 1.0)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "config.yaml").write_text(yaml.safe_dump({"actor_rollout_ref": {"rollout": {"name": "hf"}}}))
    for step, response in ((0, "nu"), (3, "nus")):
        write_rollouts(run / "validation" / f"step_{step}.parquet",
                       [{"prompt": f"<|user|>Spell sun {i}<|assistant|>", "response": response, "ground_truth": "nus"}
                        for i in range(5)])  # yapf: disable
    REPORT.write_report(tmp_path, run, {"seconds_install": 1.0, "seconds_sft": 20.04, "seconds_rl": 30.06})
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "accuracy_before": 0.25,
        "accuracy_after": 1.0,
        "seconds_install": 1.0,
        "seconds_sft": 20.0,
        "seconds_rl": 30.1,
        "engine": "hf",
        "tokens_per_second": 1000,
    }
    assert (tmp_path / "reward.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert sum("Spell sun" in line for line in shown.splitlines()) == 3
    assert all(text in shown for text in ("0.250 before, 1.000 after", "nus", "main_ppo --show-args", "reward.png"))
