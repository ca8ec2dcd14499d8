import pytest

from data_preprocess.stem.choices import shuffled
from tests.support.datasets import cards, make, score, score_truth

DUPLICATE = "duplicate prompt (exact)"
EXPECTED = {
    "gpqa": ("test", "stem__gpqa_4", "stem__gpqa", 'end with a line "Answer: $LETTER"', {
        "the right answer is among the wrong ones": 1,
        "the question or an option is empty": 1,
        DUPLICATE: 1
    }),
    "gpqa_diamond": ("test", "stem__gpqa_diamond_no_box_4", "stem__gpqa_diamond_no_box", "within \\boxed{}", {}),
    "supergpqa": ("test", "stem__supergpqa_4", "stem__supergpqa", "within \\boxed{}", {
        "the letter does not name the answer": 2,
        "more than 10 options": 1,
        DUPLICATE: 1
    }),
    "webinstruct": ("train", "stem__web_4", "stem_web", "within \\boxed{}", {
        "mathematics": 1,
        "an answer that can be guessed": 3,
        "more than three decimals": 1,
        "below university level": 1,
        "answer longer than 30 tokens": 1,
        "no question or no answer": 1,
        DUPLICATE: 1
    }),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_from_fixture_to_full_marks(name, tmp_path):
    split, file, data_source, instruction, dropped = EXPECTED[name]
    made = make(f"stem/{name}", tmp_path)
    assert list(made[split]) == [file] and not made["train" if split == "test" else "test"]
    assert cards(tmp_path)[file]["dropped"] == dropped
    for row in made[split][file]:
        assert row["data_source"] == data_source and row["reward_model"]["style"] == "rule"
        assert instruction in row["prompt"][0]["content"]
        assert score_truth(row)["score"] == 1
        assert score(row, "\\boxed{}")["score"] == 0


@pytest.mark.parametrize("name", ["gpqa", "gpqa_diamond", "supergpqa"])
def test_the_letter_stands_before_the_right_choice(name, tmp_path):
    right = {
        "Which colour does": "blue",
        "Which name belongs": "spiro[4.5]decane",
        "What is the ratio": "4",
        "Which charge": "0",
        "A laser of": "600 nm",
        "Which number is": "8",
        "Wie": "Jupiter",
        "Which is the last": "100 nm"
    }
    (rows,) = make(f"stem/{name}", tmp_path)["test"].values()
    for row in rows:
        prompt, letter = row["prompt"][0]["content"], row["reward_model"]["ground_truth"]
        answer = next(text for start, text in right.items() if prompt.startswith(start))
        assert f"\n{letter}) {answer}\n" in prompt
        assert score(row, f"So it is\n\\boxed{{{letter}}}")["score"] == 1


def test_gpqa_reads_the_line_that_its_prompt_asks_for(tmp_path):
    for row in make("stem/gpqa", tmp_path)["test"]["stem__gpqa_4"]:
        assert score(row, f"So.\nAnswer: {row['reward_model']['ground_truth']}")["score"] == 1


def test_choices_are_shuffled_by_their_text_alone():
    wrong = ["red", "green", "infrared"]
    assert shuffled("Which?", "blue", wrong) == shuffled("Which?", "blue", wrong[::-1])
    letters = {shuffled(f"Which of {number}?", "blue", wrong)[1] for number in range(40)}
    assert letters == set("ABCD")


def test_gpqa_keeps_brackets_and_takes_titles_out(tmp_path):
    prompt = make("stem/gpqa", tmp_path)["test"]["stem__gpqa_4"][1]["prompt"][0]["content"]
    assert "spiro[4.4]nonane" in prompt and "[title]" not in prompt


def test_supergpqa_keeps_the_order_of_its_options(tmp_path):
    rows = make("stem/supergpqa", tmp_path)["test"]["stem__supergpqa_4"]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["F", "B", "B", "J"]


def test_webinstruct_carries_what_its_judge_reads(tmp_path):
    rows = make("stem/webinstruct", tmp_path)["train"]["stem__web_4"]
    info = rows[0]["extra_info"]
    assert info["question"] == "A charge of 2 C passes in 4 s. What is the current, in A?"
    assert (info["idx"], info["category"], info["answer_type"]) == ("1001", "Physics", "Float")
    assert info["token_length"] == 4


def test_webinstruct_takes_another_limit_for_answers(tmp_path):
    make("stem/webinstruct", tmp_path, "--max-answer-tokens", "3")
    assert cards(tmp_path)["stem__web_2"]["dropped"]["answer longer than 3 tokens"] == 4


def test_webinstruct_measures_answers_with_the_tokenizer(tmp_path):
    from tests.support.runs import make_tokenizer
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    flags = ("--tokenizer", str(tmp_path / "tokenizer"), "--max-answer-tokens", "1000")
    (rows,) = make("stem/webinstruct", tmp_path / "data", *flags)["train"].values()
    for row in rows:
        answer = row["reward_model"]["ground_truth"]
        assert row["extra_info"]["token_length"] == len(tokenizer.encode(answer, add_special_tokens=False))
    assert len(rows) == 5
