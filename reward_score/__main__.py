"""`python -m reward_score list | explain | score`: what scores a data_source, and how it scores one answer."""

import argparse
import dataclasses
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reward_score.pool import RewardPool, RewardRequest
from reward_score.registry import known_patterns, resolve


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 for bad input or an answer that could not be scored."""
    options = _parser().parse_args(argv)
    try:
        return options.command(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


def _list(options: argparse.Namespace) -> int:
    for pattern in known_patterns():
        print(f"{pattern:40} {resolve(pattern).function.__module__}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    reward = resolve(options.data_source)
    function = reward.function
    print(f"{options.data_source} is scored by {function.__module__}.{function.__name__}")
    print(f"also scored by it: {', '.join(reward.patterns)}")
    print(f"answer format: {reward.answer_format or 'see below'}")
    print(f"extra_info it needs: {', '.join(reward.needs_extra_info) or 'none'}")
    print(f"services it needs: {', '.join(reward.services) or 'none'}")
    print(f"\n{inspect.getdoc(function)}")
    return 0


def _score(options: argparse.Namespace) -> int:
    resolve(options.data_source)
    answer = options.answer if options.answer_file is None else Path(options.answer_file).read_text()
    request = RewardRequest(options.data_source, answer, _truth(options.truth), json.loads(options.extra_info))
    with RewardPool(1, options.timeout) as pool:
        result = pool.score([request])[0]
    print(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False))
    return 0 if result.status == "ok" else 2


def _truth(text: str) -> object:
    """A list or object if it is JSON for one, else the text itself."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, list | dict) else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reward_score", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="list | explain | score")
    commands.add_parser("list", help="every pattern and its function").set_defaults(command=_list)
    explain = commands.add_parser("explain", help="function, answer format and needs of a data_source")
    explain.add_argument("--data-source", required=True)
    explain.set_defaults(command=_explain)
    score = commands.add_parser("score", help="score one answer, in a process with a deadline")
    score.add_argument("--data-source", required=True)
    score.add_argument("--truth", required=True, help="reward_model.ground_truth; lists and objects as JSON")
    answer = score.add_mutually_exclusive_group(required=True)
    answer.add_argument("--answer", help="the response")
    answer.add_argument("--answer-file", help="a file that holds it")
    score.add_argument("--extra-info", default="{}", help="as JSON")
    score.add_argument("--timeout", type=float, default=30.0, help="seconds (default: %(default)s)")
    score.set_defaults(command=_score)
    return parser


if __name__ == "__main__":
    sys.exit(main())
