import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.support.runs import make_tokenizer, save_lm
from tests.support.spelling import ROOT, load_script
from verl.utils.tokenizer import load_tokenizer

THINK, RANDOM, GURU = (
    load_script(f"scripts/tools/{n}.py") for n in ("change_tokenizer_config", "init_random_model", "download_guru"))
USER = [{"role": "user", "content": "hi"}]
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{ '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>system\nYou are Qwen.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m['role'] != 'system' %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}\n")
LLAMA = ("{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
         " + m['content'] + '<|eot_id|>' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<start_of_turn>' + m['content'] + '<end_of_turn>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}")


def model_with(folder: Path, template: str | None, *special: str) -> Path:
    save_lm(folder, vocab=64)
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = template
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
    return folder


def prompt(folder: Path, messages: list[dict]) -> str:
    return load_tokenizer(str(folder)).apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("template, special, system, eos", [
    (QWEN, ("<|im_start|>", "<|im_end|>"), True, "<|im_end|>"),
    (LLAMA, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), True, "<|eot_id|>"),
    (NO_SYSTEM, ("<start_of_turn>", "<end_of_turn>"), False, "<end_of_turn>"),
], ids=["qwen", "llama", "no-system"])  # yapf: disable
def test_the_answer_starts_with_think(tmp_path, template, special, system, eos):
    source = model_with(tmp_path / "in", template, *special)
    options = [] if system else ["--system-prompt", ""]
    assert THINK.main(["-i", str(source), "-o", str(tmp_path / "out"), *options]) == 0
    default = [{"role": "system", "content": THINK.SYSTEM_PROMPT}] if system else []
    assert prompt(tmp_path / "out", USER) == prompt(source, default + USER) + "<think>\n"
    tokenizer = load_tokenizer(str(tmp_path / "out"))
    assert tokenizer.eos_token == eos and tokenizer.eos_token_id != load_tokenizer(str(source)).eos_token_id
    assert json.loads((tmp_path / "out/config.json").read_text())["eos_token_id"] == tokenizer.eos_token_id
    finished = tokenizer.apply_chat_template([*USER, {"role": "assistant", "content": "ok"}], tokenize=False)
    assert "<think>\n" not in finished, "only a prompt for an answer is opened"
    weights = tmp_path / "out/model.safetensors"
    assert weights.is_symlink() and weights.resolve() == (source / "model.safetensors").resolve()
    assert not (tmp_path / "out/config.json").is_symlink()
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_a_system_message_of_the_conversation_counts(tmp_path):
    source = model_with(tmp_path / "in", QWEN, "<|im_start|>", "<|im_end|>")
    THINK.main(["-i", str(source), "-o", str(tmp_path / "out")])
    messages = [{"role": "system", "content": "be quick"}, *USER]
    assert prompt(tmp_path / "out", messages) == prompt(source, messages) + "<think>\n"


@pytest.mark.parametrize("template, special, options, text", [
    (None, (), [], "no `chat_template`"),
    (NO_SYSTEM, ("<end_of_turn>", ), [], "--system-prompt ''"),
    (QWEN, (), [], "--eos"),
    (QWEN, ("<|im_end|>", ), ["--eos", "<|nope|>"], "<|nope|>"),
    (QWEN.removesuffix("\n") + "{{ 'x' }}", ("<|im_end|>", ), [], None),
    (QWEN.replace("assistant\n", "assistant\n<think>\n"), ("<|im_end|>", ), [], "already"),
    ("{% set messages = messages[-1:] %}" + QWEN, ("<|im_end|>", ), [], "drops system messages"),
], ids=["none", "no-system", "no-eos", "no-such-eos", "text-after", "thinks", "no-place"])  # yapf: disable
def test_what_cannot_be_done_is_refused_and_leaves_nothing(tmp_path, capsys, template, special, options, text):
    source = model_with(tmp_path / "in", template, *special)
    code = THINK.main(["-i", str(source), "-o", str(tmp_path / "out"), *options])
    if text is None:  # odd, but what it renders is as wanted
        assert code == 0
        return
    assert code == 2 and text in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_existing_folder_is_kept(tmp_path, capsys):
    source = model_with(tmp_path / "in", QWEN, "<|im_end|>")
    for main in (THINK.main, RANDOM.main):
        assert main(["-i", str(source), "-o", str(source)]) == 2
        assert "exists" in capsys.readouterr().err


def test_a_random_model_of_another_size(tmp_path, capsys):
    source = save_lm(tmp_path / "in")
    shape = ["--set", "hidden_size=16", "--set", "num_hidden_layers=1", "--dtype", "float32"]
    make = lambda name, *extra: RANDOM.main(["-i", str(source), "-o", str(tmp_path / name), *shape, *extra])
    assert make("a") == make("b") == make("c", "--seed", "2") == 0
    a, b, c = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in "abc")
    assert (a.config.hidden_size, a.config.num_hidden_layers, a.dtype) == (16, 1, torch.float32)
    weight = lambda model: model.model.layers[0].mlp.up_proj.weight
    assert torch.equal(weight(a), weight(b)) and not torch.equal(weight(a), weight(c))
    assert load_tokenizer(str(tmp_path / "a")).chat_template
    assert RANDOM.main(["-i", str(source), "-o", str(tmp_path / "d"), "--set", "no_such=1"]) == 2
    assert "no_such" in capsys.readouterr().err and not (tmp_path / "d").exists()


def test_guru_files_are_chosen_by_pattern():
    files = ["README.md", "train/math__combined_54.4k.parquet", "train/stem__web_3.6k.parquet", "online_eval/a.parquet",
             "other/b.parquet"]  # yapf: disable
    assert GURU.wanted(files, []) == ["online_eval/a.parquet", *files[1:3]]
    assert GURU.wanted(files, ["train/math__*"]) == [files[1]]
    assert GURU.wanted(files, ["nothing"]) == []


def nvidia_smi(folder: Path, gpus: int, processes: str = "") -> dict[str, str]:
    folder.mkdir()
    lines = "".join(f"{i}, NVIDIA H100\\n" for i in range(gpus))
    (folder /
     "nvidia-smi").write_text(f"#!/bin/sh\ncase $1 in *query-gpu*) printf '{lines}';; *) printf '{processes}';; esac\n")
    (folder / "nvidia-smi").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("gpus, processes, wanted, code, text", [
    (8, "", 8, 0, "8 GPUs are free"),
    (7, "", 8, 1, "7 GPUs, 8 are wanted"),
    (0, "", 1, 1, "0 GPUs"),
    (8, f"{os.getpid()}, 100 MiB, python\\n", 8, 1, f"in use by process {os.getpid()} of "),
])
def test_check_gpu(tmp_path, gpus, processes, wanted, code, text):
    done = subprocess.run(["bash", ROOT / "scripts/tools/check_gpu.sh", str(wanted)], capture_output=True, text=True,
                          check=False, env=nvidia_smi(tmp_path / "bin", gpus, processes))  # yapf: disable
    assert done.returncode == code and text in done.stderr


def test_the_judge_is_served_where_training_is_told(tmp_path):
    env = os.environ | {"DRY_RUN": "1", "REPLICAS": "2", "PORT": "9000", "CONDA_BIN_PATH": "/opt/bin/"}
    done = subprocess.run(["bash", ROOT / "scripts/tools/serve_llm_as_verifier.sh", "--max-model-len=4096"], env=env,
                          capture_output=True, text=True, check=True)  # yapf: disable
    assert done.stdout.startswith("/opt/bin/vllm serve TIGER-Lab/general-verifier ")
    assert "--data-parallel-size=2" in done.stdout and "--max-model-len=4096" in done.stdout
    assert "export STEM_LLM_JUDGE_URL=http://" in done.stderr and ":9000" in done.stderr
