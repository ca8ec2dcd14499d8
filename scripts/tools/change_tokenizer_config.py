"""A copy of a model folder whose chat template makes the model think first: the answer starts with <think>.

    python scripts/tools/change_tokenizer_config.py -i models/Qwen2.5-7B -o models/Qwen2.5-7B-think

The template stays the model's own. After the generation prompt comes `<think>`, before a conversation without a system
message comes one, and the token that ends an assistant's turn ends an answer. What the result renders is compared with
what the model's own template renders; where that does not come out right (no template, a template without system
messages, …) nothing is written. Weights are links to the input's.
"""
import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from verl.utils.fs import atomic_directory
from verl.utils.tokenizer import load_tokenizer, require_chat_template

THINK = "<think>\n"
SYSTEM_PROMPT = ("You are a helpful assistant. First reason about the task between <think> and </think>, "
                 "then give the user your answer.")
WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5"}
USER = {"role": "user", "content": "2+2?"}


def think_template(template: str, system_prompt: str) -> str:
    """`template` with `<think>` after the generation prompt, and `system_prompt` (if any) as the default one."""
    if not system_prompt:
        head = ""
    else:
        message = f"{{'role': 'system', 'content': {json.dumps(system_prompt)}}}"
        add = f"{{%- set messages = [{message}] + messages %}}"
        head = f"{{%- if messages[0]['role'] != 'system' %}}{add}{{%- endif %}}"
    tail = "{% if add_generation_prompt %}{{ " + json.dumps(THINK) + " }}{% endif %}"
    return head + template.removesuffix("\n") + tail  # Jinja ignores one newline at the end


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> str:
    """The special token after an assistant's message. ValueError where the template writes none."""
    answer = "zyx"
    text = tokenizer.apply_chat_template([USER, {"role": "assistant", "content": answer}], tokenize=False)
    rest = text.rpartition(answer)[2]
    special = sorted(
        (t for t in tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()) if rest.startswith(t)), key=len)
    if not special:
        raise ValueError(
            f"its chat template ends an assistant's turn with {rest!r}, which is no special token: name one "
            "by --eos")
    return special[-1]


def check_result(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, system_prompt: str, eos: str) -> None:
    """ValueError unless the new tokenizer renders what is wanted."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    given = {"role": "system", "content": "Be brief."}
    for messages, as_if in (([USER], [*system, USER]), ([given, USER], [given, USER])):
        if messages[0] is given and not system_prompt:
            continue  # the model may not know system messages, and need not
        wanted = render(before, as_if) + THINK
        found = render(after, messages)
        if found != wanted:
            raise ValueError(
                f"its chat template cannot be changed this way: it would render\n{found!r}\nnot\n{wanted!r}")
    if system_prompt not in render(after, [USER]):
        raise ValueError("its chat template drops system messages: give --system-prompt ''")
    if eos not in before.get_vocab() or after.eos_token != eos:
        raise ValueError(f"{eos} is no token of its vocabulary")


def render(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    """The prompt text. ValueError where the template refuses the messages."""
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise ValueError(f"its chat template refuses a system message ({error}): give --system-prompt ''") from error


def copy_folder(source: Path, target: Path) -> None:
    """Weights as links, all else as copies."""
    for path in source.iterdir():
        if path.suffix in WEIGHTS:
            (target / path.name).symlink_to(path.resolve())
        elif path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, target / path.name)


def edit_json(path: Path, changes: dict[str, Any]) -> None:
    """Sets entries of a JSON file, if there is such a file."""
    if path.is_file():
        path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2, ensure_ascii=False) + "\n")


def convert(source: Path, target: Path, system_prompt: str, eos: str | None) -> str:
    """Writes `target`; -> the token that ends an answer."""
    if not (source / "config.json").is_file():
        raise ValueError(
            "it is no model folder (no config.json); download it first: huggingface-cli download ID --local-dir …")
    before = load_tokenizer(str(source))
    require_chat_template(before)
    if not isinstance(before.chat_template, str):
        raise ValueError("it has several chat templates; keep the one to change in its tokenizer_config.json")
    if render(before, [USER]).rstrip().endswith(THINK.strip()):
        raise ValueError("its chat template starts an answer with <think> already: use it as it is")
    eos = eos or end_of_turn(before)
    with atomic_directory(target) as folder:
        copy_folder(source, folder)
        template = think_template(before.chat_template, system_prompt)
        (folder / "chat_template.jinja").write_text(template)
        edit_json(folder / "tokenizer_config.json", {"chat_template": template, "eos_token": eos})
        edit_json(folder / "special_tokens_map.json", {"eos_token": eos})
        after = load_tokenizer(str(folder))
        check_result(before, after, system_prompt, eos)
        for name in ("config.json", "generation_config.json"):
            edit_json(folder / name, {"eos_token_id": after.eos_token_id})
    return eos


def main(argv: list[str]) -> int:
    """-> the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input", type=Path, required=True, help="model folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("--system-prompt",
                        default=SYSTEM_PROMPT,
                        help="default system message; '': as the template has it")
    parser.add_argument("--eos", help="token that ends an answer; default: the one that ends an assistant's turn")
    options = parser.parse_args(argv)
    if options.output.exists():
        print(f"error: {options.output} exists; name a new folder", file=sys.stderr)
        return 2
    try:
        eos = convert(options.input, options.output, options.system_prompt, options.eos)
    except ValueError as error:
        print(f"error: {options.input}: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: answers start with <think> and end with {eos}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
