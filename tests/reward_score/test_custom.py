import pytest

from reward_score.custom import load_custom_function


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_reward.py"
    path.write_text("import json\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Thing:\n    x: int = 1\n\n\n"
                    "def compute_score(data_source, solution_str, ground_truth, extra_info, bonus=0):\n"
                    "    return Thing().x + bonus\n\n\ndef other():\n    pass\n\n\nlimit = 3\n")
    return path


def test_loads_a_function(file):
    assert load_custom_function(str(file))("", "", "", None, bonus=2) == 3


def test_missing_file_names_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"custom_reward_function\.path=.*nothing\.py.*no such file"):
        load_custom_function(str(tmp_path / "nothing.py"))


@pytest.mark.parametrize("name", ["compute_scores", "limit"])
def test_missing_name_lists_what_there_is(file, name):
    with pytest.raises(ValueError,
                       match=rf"custom_reward_function\.name='{name}'.*my_reward\.py.*compute_score, other"):
        load_custom_function(str(file), name)


def test_a_file_that_is_not_python(tmp_path):
    (tmp_path / "reward.txt").write_text("")
    with pytest.raises(ValueError, match=r"must end in \.py"):
        load_custom_function(str(tmp_path / "reward.txt"))


@pytest.mark.parametrize("text", ["import not_there_at_all", "def broken(:", "1 / 0"])
def test_import_error_names_file_and_cause(tmp_path, text):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.py.*cannot be imported: \w+Error"):
        load_custom_function(str(tmp_path / "bad.py"))
