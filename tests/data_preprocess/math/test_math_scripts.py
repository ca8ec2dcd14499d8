import json

import pytest

from tests.support.datasets import cards, make, score, score_truth

BOX = "Please output the final answer within \\boxed{}."
DUPLICATE = "duplicate prompt (exact)"
NO_ANSWER, NO_PROBLEM, NO_BOX = "no answer", "no problem", "no boxed answer in the solution"
NO_HASHES = "the solution does not end in #### and a number"
# script -> split -> file -> (data_source, instruction, dropped)
EXPECTED = {
    "dapo_or1_merge_deduped": {
        "train": {
            "math__merged_deduped_dapo_or1_dataset_6": ("math__merged_deduped_dapo_or1_dataset", BOX, {
                NO_ANSWER: 1, NO_PROBLEM: 1, DUPLICATE: 1}),
        },
        "test": {
            "math__aime_repeated_8x_16": ("math__aime_repeated_8x", BOX, {}),
            "math__amc_repeated_4x_8": ("math__amc_repeated_4x", BOX, {}),
            "math__minerva_2": ("math__minerva", BOX, {NO_ANSWER: 1}),
            "math__olympiad_bench_2": ("math__olympiad_bench", BOX, {}),
            "math__math_2": ("math__math", BOX, {DUPLICATE: 1}),
            "math__aime2025_repeated_8x_8": ("math__aime2025_repeated_8x", BOX, {}),
        },
    },
    "bigmath_preview_filtered_mar21": {
        "train": {
            "math__bigmath_preview_filtered_mar21_3": ("math__bigmath_preview_filtered_mar21", BOX, {
                NO_ANSWER: 1, DUPLICATE: 1}),
        },
        "test": {
            "math__aime_repeated_8x_16": ("math__aime_repeated_8x", BOX, {}),
            "math__amc_repeated_4x_8": ("math__amc_repeated_4x", BOX, {}),
            "math__minerva_1": ("math__minerva", BOX, {}),
            "math__olympiad_bench_1": ("math__olympiad_bench", BOX, {}),
            "math__math_1": ("math__math", BOX, {}),
        },
    },
    "deepscaler_preview": {
        "train": {"math__deepscaler_preview_3": ("math__deepscaler_preview", BOX, {DUPLICATE: 1})},
        "test": {},
    },
    "gsm8k": {
        "train": {"math__gsm8k_4": ("openai/gsm8k", "####", {NO_HASHES: 2, DUPLICATE: 1})},
        "test": {"math__gsm8k_2": ("openai/gsm8k", "####", {})},
    },
    "math_lighteval": {
        "train": {"math__math_lighteval_4": ("DigitalLearningGmbH/MATH-lighteval", BOX, {NO_BOX: 2, DUPLICATE: 1})},
        "test": {"math__math_lighteval_2": ("DigitalLearningGmbH/MATH-lighteval", BOX, {})},
    },
    "dapo": {
        "train": {"math__dapo_3": ("math_dapo", "Answer: $Answer", {DUPLICATE: 6})},
        "test": {"math__aime_2024_8": ("math_dapo", "Answer: $Answer", {})},
    },
}  # yapf: disable


@pytest.mark.parametrize("name", EXPECTED)
def test_from_fixture_to_full_marks(name, tmp_path):
    made = make(f"math/{name}", tmp_path)
    dropped = {file: card["dropped"] for file, card in cards(tmp_path).items()}
    for split, files in EXPECTED[name].items():
        assert set(made[split]) == set(files)
        for file, (data_source, instruction, reasons) in files.items():
            assert dropped[file] == reasons
            check(made[split][file], data_source, instruction)


def check(rows, data_source, instruction):
    assert len({row["extra_info"]["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["data_source"] == data_source and row["apply_chat_template"]
        assert instruction in row["prompt"][0]["content"]
        assert score_truth(row)["score"] == 1
        assert score(row, "The answer is unknown.")["acc"] == 0


def test_repeated_test_sets_keep_their_repeats(tmp_path):
    rows = make("math/dapo_or1_merge_deduped", tmp_path)["test"]["math__aime_repeated_8x_16"]
    prompts = [row["prompt"][0]["content"] for row in rows]
    assert sorted(prompts.count(prompt) for prompt in set(prompts)) == [8, 8]


def test_answers_are_texts(tmp_path):
    made = make("math/dapo_or1_merge_deduped", tmp_path)
    truths = {file: [row["reward_model"]["ground_truth"] for row in rows] for file, rows in made["test"].items()}
    assert truths["math__amc_repeated_4x_8"][:2] == ["142", "8"]
    assert truths["math__minerva_2"] == ["432", "3 \\times 10^{8}"]
    assert truths["math__aime2025_repeated_8x_8"][0] == "24"
    train, = made["train"].values()
    assert train[2]["reward_model"]["ground_truth"] == "\\frac{3}{2}"


def test_reward_metrics_go_to_the_rows_and_the_suffix_to_the_train_file(tmp_path):
    flags = ("--train-reward-metric", "math_llm_judge", "--test-reward-metric", "prime_math", "--suffix", "_llm_judge")
    made = make("math/dapo_or1_merge_deduped", tmp_path, *flags)
    assert list(made["train"]) == ["math__merged_deduped_dapo_or1_dataset_llm_judge_6"]
    train, = made["train"].values()
    assert train[0]["data_source"] == "math__merged_deduped_dapo_or1_dataset"
    assert train[0]["extra_info"]["reward_metric"] == "math_llm_judge"
    assert train[0]["extra_info"]["original_question"] + " " + BOX == train[0]["prompt"][0]["content"]
    test = made["test"]["math__math_2"]
    assert test[0]["extra_info"]["reward_metric"] == "prime_math"
    assert score_truth(test[0])["score"] == 1


def test_an_unknown_reward_metric_is_refused(tmp_path):
    with pytest.raises(AssertionError):
        make("math/bigmath_preview_filtered_mar21", tmp_path, "--train-reward-metric", "exactly")


def test_samples_follow_the_seed(tmp_path):
    flags = ("--train-sample-size", "2")
    ids = [[row["extra_info"]["id"] for row in make("math/gsm8k", tmp_path / str(number), *flags, "--seed", seed)
            ["train"]["math__gsm8k_2"]] for number, seed in enumerate(("1", "1", "2", "3", "4"))]  # yapf: disable
    assert ids[0] == ids[1] and any(other != ids[0] for other in ids[2:])


def test_math_reads_a_file_for_each_example(tmp_path):
    rows = make("math/math_lighteval", tmp_path)["test"]["math__math_lighteval_2"]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["(x-1)(x+1)", "56"]
    assert rows[1]["extra_info"]["type"] == "Prealgebra"


def test_boxes_are_read_last_and_in_full(tmp_path):
    rows = make("math/math_lighteval", tmp_path)["train"]["math__math_lighteval_4"]
    assert [row["reward_model"]["ground_truth"] for row in rows] == [
        "-3", "\\frac{5}{6}", "\\left(2,3\\right)", "2\\sqrt{3}"]  # yapf: disable


def test_dapo_keeps_prompts_and_scores_wrong_answers_below_zero(tmp_path):
    rows = make("math/dapo", tmp_path)["train"]["math__dapo_3"]
    assert score(rows[0], "Counting gives eight.\nAnswer: 8")["score"] == 1
    assert score(rows[0], "Answer: 9")["score"] == -1
    assert rows[0]["extra_info"]["uuid"] == "9a9b6eb4-a1cb-49d1-8c1e-62eaf2f74079"
    json.dumps(rows)
