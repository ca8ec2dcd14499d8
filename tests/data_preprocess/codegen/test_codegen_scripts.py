import json

import pytest

import reward_score.coder1  # noqa: F401 -- registers codegen*
from tests.support.datasets import cards, make, score, score_truth

ALIKE = "duplicate prompt (exact)"
WRONG = "reference solution fails its own tests"
# Rows kept of train and test, and what is dropped of the first of them.
EXPECTED = {
    "leetcode2k": (3, 1, {"no tests": 1, WRONG: 1, ALIKE: 1}),
    "taco": (4, 0, {
        "needs an image": 1, "statement too short": 1, "from geeksforgeeks": 1, "tests are no JSON": 1,
        "no tests, or not as many inputs as outputs": 1, "no test of a moderate size that expects an output": 1,
        WRONG: 1, ALIKE: 1
    }),
    "primeintellect": (4, 0, {
        "statement has examples only": 2, "needs an image": 1, "no tests": 1, "no reference solution": 1,
        WRONG: 1, ALIKE: 1
    }),
    "livecodebench": (3, 1, {
        "functional tests without a function's name": 1, "a test's value cannot be read": 1, "no tests": 1, ALIKE: 1
    }),
    "humaneval": (0, 4, {WRONG: 1, ALIKE: 1}),
    "humanevalplus": (0, 3, {WRONG: 1}),
    "mbpp": (3, 1, {"no tests": 1, WRONG: 2, ALIKE: 1}),
    "mbppplus": (0, 2, {"no tests": 1, WRONG: 1, ALIKE: 1}),
}  # yapf: disable


def rows_of(made, split):
    return [row for rows in made[split].values() for row in rows]


@pytest.mark.parametrize("name", EXPECTED)
def test_from_fixture_to_full_marks(name, tmp_path):
    train, test, dropped = EXPECTED[name]
    made = make(f"codegen/{name}", tmp_path)
    rows = rows_of(made, "train") + rows_of(made, "test")
    assert list(made["train"]) == [f"codegen__{name}_{train}"] * bool(train)
    assert list(made["test"]) == [f"codegen__{name}_{test}"] * bool(test)
    assert cards(tmp_path)[f"codegen__{name}_{train or test}"]["dropped"] == dropped
    for row in rows:
        assert row["data_source"] == f"codegen__{name}" and row["ability"] == "codegen"
        assert "in one ```python block" in row["prompt"][0]["content"]
        assert row["extra_info"].keys() == rows[0]["extra_info"].keys()
        assert score(row, "```python\nimport os\nos._exit(0)\n```")["score"] == 0
        if name != "livecodebench":  # which has no reference solutions
            assert score_truth(row)["score"] == 1, row["extra_info"]


def test_livecodebench_takes_programs_and_methods(tmp_path):
    rows = rows_of(make("codegen/livecodebench", tmp_path), "train")
    program, count, mirror = rows
    assert [row["extra_info"]["function_name"] for row in rows] == ["", "countAbove", "mirror"]
    assert "standard input" in program["prompt"][0]["content"]
    assert "standard input" not in count["prompt"][0]["content"]
    assert "class Solution:" in count["prompt"][0]["content"]
    head = "```python\nclass Solution:\n    def "
    assert score(program, "```python\ninput()\nprint(max(map(int, input().split())))\n```")["score"] == 1
    right = f"{head}countAbove(self, nums, limit):\n        return sum(n > limit for n in nums)\n```"
    assert score(count, right)["score"] == 1
    assert score(count, right.replace(">", ">="))["score"] == 1  # no number of the tests equals the limit
    assert score(count, right.replace(">", "<"))["score"] == 0
    assert score(mirror, f"{head}mirror(self, s):\n        return s == s[::-1]\n```")["score"] == 1


def test_leetcode_tests_use_the_classes_of_the_prefix(tmp_path):
    row = rows_of(make("codegen/leetcode2k", tmp_path), "train")[1]
    prompt = row["prompt"][0]["content"]
    assert "### Format:\nStart" in prompt and "### Answer" not in prompt
    assert "class ListNode" in row["extra_info"]["prefix"]
    assert row["extra_info"]["question_title"] == "Twice" and row["extra_info"]["difficulty"] == "Medium"
    same = row["extra_info"]["reference"].replace("node.val *= 2", "pass")
    assert score(row, f"```python\n{same}\n```")["score"] == 0


def test_taco_keeps_eight_short_tests_unless_told(tmp_path):

    def inputs(folder, *flags):
        row = rows_of(make("codegen/taco", folder, *flags), "train")[0]
        return json.loads(row["reward_model"]["ground_truth"])["inputs"]

    assert inputs(tmp_path / "a") == [" ".join(map(str, range(n))) + "\n" for n in range(1, 9)]
    assert len(inputs(tmp_path / "b", "--max-tests", "0")) == 12


def test_a_function_is_named_where_the_statement_does_not(tmp_path):
    product, backwards, minmax, longer = rows_of(make("codegen/primeintellect", tmp_path), "train")
    prompts = [row["prompt"][0]["content"] for row in (product, backwards, minmax, longer)]
    assert "a function named `backwards`" in prompts[1]
    assert "a function named" not in prompts[2]  # it is called minmax there
    assert ["standard input" in prompt for prompt in prompts] == [True, False, False, True]


def test_mbpp_shows_its_tests_but_not_the_challenge(tmp_path):
    row = rows_of(make("codegen/mbpp", tmp_path), "train")[0]
    prompt, truth = row["prompt"][0]["content"], row["reward_model"]["ground_truth"]
    assert "assert middle(3,1,2)==2" in prompt and "assert middle(3,1,2)==2" in truth
    assert "assert middle(-1,0,1)==0" not in prompt and "assert middle(-1,0,1)==0" in truth


def test_humaneval_shows_the_whole_head(tmp_path):
    row = rows_of(make("codegen/humaneval", tmp_path), "test")[1]
    assert "def square(x: float):" in row["prompt"][0]["content"]
    assert row["extra_info"]["task_id"] == "HumanEval/1"
    without_helper = "```python\ndef root(x):\n    return x ** 0.5\n```"
    assert score(row, without_helper)["score"] == 0
    assert score(row, without_helper.replace("def root", "def square(x):\n    return x * x\ndef root"))["score"] == 1
