import json
from types import SimpleNamespace

import pytest
from transformers import GenerationConfig

from tests.support.models import make_model
from verl.utils import hub
from verl.utils.hub import load_hf_config, local_folder, stop_token_ids


@pytest.fixture
def folder(tmp_path):
    """A model folder without weights."""
    make_model("qwen2").config.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_is_taken_as_it_is(folder, monkeypatch):
    assert local_folder(str(folder)) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert local_folder("~/model") == folder
    assert load_hf_config("~/model", False).hidden_size == 32


def test_a_hub_id_is_fetched(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda path: asked.append(path) or str(folder))
    assert local_folder("someone/model") == folder and asked == ["someone/model"]


def test_config(folder):
    config = load_hf_config(str(folder), False)
    assert (config.model_type, config.vocab_size) == ("qwen2", 61)


@pytest.mark.parametrize("content", [None, "{", "{}", '{"model_type": "nobody_knows"}'])
def test_no_model_is_one_line_that_names_the_key(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=f"^actor_rollout_ref.model.path={tmp_path} is no model: .+$") as caught:
        load_hf_config(str(tmp_path), False)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_no_model(tmp_path):
    with pytest.raises(ValueError, match="model.path=.*/nowhere is no model"):
        load_hf_config(str(tmp_path / "nowhere"), False)


@pytest.mark.parametrize("generation, expected", [(None, (7,)), (5, (5, 7)), ([9, 5], (5, 7, 9)), ([7], (7,))])
def test_stop_token_ids(folder, generation, expected):
    """The tokenizer's and those of generation_config.json, once each, in order."""
    if generation is not None:
        GenerationConfig(eos_token_id=generation).save_pretrained(folder)
    assert stop_token_ids(SimpleNamespace(eos_token_id=7), str(folder)) == expected


def test_stop_token_ids_without_any(folder):
    assert stop_token_ids(SimpleNamespace(eos_token_id=None), str(folder)) == ()
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": None}))
    assert stop_token_ids(SimpleNamespace(eos_token_id=3), str(folder)) == (3,)
