"""The commands of `python -m data_analysis`: flags and what they call."""

import argparse
import contextlib
import functools
import json
import sys
from pathlib import Path

from data_analysis.answers import UnansweredError, answer_split
from data_analysis.job_script import ENGINES, JobSettings, job_script
from data_analysis.journal import JournalBusyError
from data_analysis.layout import DataFolder, RunFolder
from data_analysis.progress import warn

Parser = argparse.ArgumentParser


def generation_flags(parser: Parser) -> None:
    """Flags of whatever asks a model."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder that transform_dataset.py made")
    add("--model", required=True, help="folder or hub id")
    add("--n", type=int, default=32, help="answers per request (default: %(default)s)")
    add("--seed", type=int, default=0, help="the same seed samples the same answers, as far as the engine can")
    add("--concurrency", type=int, default=512, help="a server: requests in flight (default: %(default)s)")
    add("--start-timeout",
        type=float,
        default=1800.0,
        help="seconds until a server must be ready (default: %(default)g)")
    local = parser.add_argument_group("on this machine (--local)")
    local.add_argument("--local", action="store_true", help="with our own rollout engine, in this process")
    local.add_argument("--rollout", default="auto", choices=("auto", "vllm", "hf"), help="auto: vllm where installed")
    local.add_argument("--batch-size", type=int, default=64, help="sequences at once (default: %(default)s)")
    local.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--width", type=int, default=1, help="GPUs that share one copy of the model")


def launch_flags(parser: Parser) -> None:
    generation_flags(parser)
    add = parser.add_argument
    add("--engine", choices=ENGINES, default="sglang")
    add("--gpus", type=int, default=8, help="of a node (default: %(default)s)")
    add("--python", default=sys.executable, help="interpreter of the jobs; it has the engine")
    add("--server-args", default="", help="more arguments of the server, one text")
    add("--server-command", default="", help="start this instead; a shell command that may use $PORT and $MODEL")
    add("--slurm", default="", help='sbatch options, one text, e.g. "--partition=main --time=24:00:00"')
    add("--retries", type=int, default=3, help="submit a failed job so often again (default: %(default)s)")
    add("--poll", type=float, default=30.0, help="seconds between looks (default: %(default)g)")
    add("--dry-run", action="store_true", help="print a job script and every command, run none")


def launch(flags: argparse.Namespace) -> int:
    """One job per split, until all requests are answered."""
    from data_analysis.monitor import Monitor

    _check_counts(flags)
    flags.model = _absolute(flags.model)
    run = DataFolder(flags.data).run(flags.model)
    run.data.manifest()
    if flags.local:
        return _say_local(run, flags) if flags.dry_run else generate(flags)
    settings = JobSettings(flags.model, flags.n, flags.seed, flags.python, flags.engine, flags.gpus, flags.width,
                           flags.concurrency, flags.start_timeout, flags.server_args, flags.server_command, flags.slurm)
    monitor = Monitor(run, settings, flags.retries, flags.poll)
    if flags.dry_run:
        print(f"# {monitor.script(0)}\n{job_script(run, 0, settings)}")
        print("\n".join(monitor.commands()))
        return 0
    run.open(flags.model, flags.seed)
    return monitor.run()


def generate_flags(parser: Parser) -> None:
    generation_flags(parser)
    add = parser.add_argument
    add("--split", type=int, nargs="+", help="which (default: all)")
    add("--url", help="of an OpenAI-compatible server")
    add("--server-pid", type=int, help="the server's process; if it ends, so does this")
    add("--timeout", type=float, default=3600.0, help="seconds for one answer of a server (default: %(default)g)")


def generate(flags: argparse.Namespace) -> int:
    """Answers to splits, here, from --url or with --local."""
    _check_counts(flags)
    if bool(flags.local) == bool(getattr(flags, "url", None)):
        raise ValueError("say --local, or --url of a server")
    flags.model = _absolute(flags.model)
    run = DataFolder(flags.data).run(flags.model)
    splits = run.data.manifest().splits
    chosen = getattr(flags, "split", None) or range(splits)
    if unknown := [i for i in chosen if not 0 <= i < splits]:
        raise ValueError(f"there is no split {unknown[0]}: {flags.data} has 0 to {splits - 1}")
    run.open(flags.model, flags.seed)
    left = 0
    with contextlib.ExitStack() as stack:
        engine = functools.cache(lambda: _local(flags, stack) if flags.local else _server(flags))
        for i in chosen:
            try:
                asked = answer_split(run, i, flags.n, engine, wait=0.0 if flags.local else 120.0)
                print(f"split {i}: complete, {asked} new answers", flush=True)
            except (UnansweredError, JournalBusyError) as error:  # the other splits may fare better
                warn(str(error))
                left += 1
    return 1 if left else 0


def status_flags(parser: Parser) -> None:
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=32, help="answers per request")


def status(flags: argparse.Namespace) -> int:
    """How many answers each model has given."""
    from data_analysis.progress import LineCounter

    data = DataFolder(flags.data)
    manifest = data.manifest()
    for run in data.runs():
        done = sum(run.is_done(i, flags.n) for i in range(manifest.splits))
        answers = sum(LineCounter(run.answers(i)).count() for i in range(manifest.splits))
        print(f"{run.path.name}: {done} of {manifest.splits} splits complete, {answers:,} answers of "
              f"{sum(manifest.requests) * flags.n:,}")
    return 0


def map_flags(parser: Parser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--model", help="whose answers; needed if there are several")
    add("--output", type=Path, help="default: pass_rates.json beside the answers")
    add("--threshold", type=float, default=1.0, help="an answer passes if its acc is at least this")
    add("--workers", type=int, help="processes (default: one per core, at most 8)")
    add("--timeout", type=float, default=30.0, help="seconds to score one answer")
    add("--recalculate", action="store_true", help="score everything anew, after a change of rewards")


def make_map(flags: argparse.Namespace) -> int:
    """Scores what is not scored yet, and writes id -> pass rate."""
    from data_analysis import pass_rates, scoring

    run = DataFolder(flags.data).find_run(flags.model)
    if flags.recalculate:
        run.scores.unlink(missing_ok=True)
    truths = scoring.read_truths(run)
    scored = scoring.score_answers(run, truths, flags.workers, flags.timeout)
    rates = pass_rates.make_map(run, truths, flags.threshold)
    output = flags.output or run.pass_rates
    pass_rates.write_map(output, run, rates, flags.threshold)
    print(f"{output}: {len(rates)} rows ({scored} answers scored now)")
    return 0


def analyse_flags(parser: Parser) -> None:
    parser.add_argument("--rates", type=Path, required=True, help="pass_rates.json, of `map`")
    parser.add_argument("--json", action="store_true")


def analyse(flags: argparse.Namespace) -> int:
    """Rows by difficulty, for each data source."""
    from data_analysis import pass_rates

    found = pass_rates.analyse(pass_rates.read_map(flags.rates))
    print(json.dumps(found, indent=2) if flags.json else pass_rates.report(found))
    return 0


def annotate_flags(parser: Parser) -> None:
    add = parser.add_argument
    add("--rates", type=Path, required=True, help="pass_rates.json, of `map`")
    add("--input", type=Path, nargs="+", help="parquet files, as they were split (default: those)")
    add("--data", type=Path, help="the split folder, if there is no --input")
    add("--output", type=Path, required=True, help=".parquet, or a folder")
    add("--column", default="pass_rate", help="e.g. low_pass_rate and high_pass_rate for a weak and a strong model")


def annotate(flags: argparse.Namespace) -> int:
    """Adds a column of pass rates to the dataset."""
    from data_analysis import pass_rates, tables

    if not flags.input and not flags.data:
        raise ValueError("name the dataset: --input FILES, or --data FOLDER for what was split there")
    inputs = flags.input or [Path(file) for file in DataFolder(flags.data).manifest().rows]
    counts = tables.annotate(inputs, flags.output, pass_rates.read_map(flags.rates), flags.column)
    for file, count in zip(tables.outputs(inputs, flags.output), counts, strict=True):
        print(f"{file}: {count.rows} rows, {count.unknown} without a pass rate")
    return 0


def filter_flags(parser: Parser) -> None:
    add = parser.add_argument
    add("--input", type=Path, nargs="+", required=True, help="annotated parquet files")
    add("--output", type=Path, required=True, help=".parquet, or a folder")
    add("--column", default="pass_rate")
    add("--low-pass-rate", type=float, default=0.0, help="drop rows at or below (default: %(default)g)")
    add("--high-pass-rate", type=float, default=1.0, help="drop rows at or above (default: %(default)g)")
    add("--drop-unknown", action="store_true", help="drop rows without a pass rate, too")


def select(flags: argparse.Namespace) -> int:
    """Keeps the rows whose pass rate lies between two bounds."""
    from data_analysis import tables

    counts = tables.select(flags.input, flags.output, flags.column, flags.low_pass_rate, flags.high_pass_rate,
                           flags.drop_unknown)
    for file, count in zip(tables.outputs(flags.input, flags.output), counts, strict=True):
        print(f"{file}: {count.kept} of {count.rows} rows; {count.too_hard} too hard, {count.too_easy} too easy, "
              f"{count.unknown} without a pass rate {'dropped' if flags.drop_unknown else 'kept'}")
    return 0


COMMANDS = {
    "launch": (launch_flags, launch, "one SLURM job per split, watched until all is answered; or --local"),
    "generate": (generate_flags, generate, "answers from a server that runs, or from this process"),
    "status": (status_flags, status, "how far a generation is"),
    "map": (map_flags, make_map, "scores answers and writes the pass rate of each row"),
    "analyse": (analyse_flags, analyse, "rows by difficulty"),
    "annotate": (annotate_flags, annotate, "adds pass rates to the dataset"),
    "filter": (filter_flags, select, "keeps rows between two pass rates"),
}


def _local(flags: argparse.Namespace, stack: contextlib.ExitStack):  # noqa: ANN202 -- torch is imported for this alone
    from data_analysis.local import LocalEngine

    engine = LocalEngine(flags.model, flags.seed, flags.rollout, flags.batch_size, flags.width, flags.trust_remote_code)
    stack.callback(engine.close)
    return engine


def _server(flags: argparse.Namespace):  # noqa: ANN202
    from data_analysis.server import Server

    server = Server(flags.url, flags.model, flags.seed, flags.server_pid, flags.concurrency, flags.timeout)
    server.wait_until_ready(flags.start_timeout)
    return server


def _say_local(run: RunFolder, flags: argparse.Namespace) -> int:
    print(f"python -m data_analysis generate --local --data {flags.data} --model {flags.model} --n {flags.n} "
          f"--seed {flags.seed}  # {run.data.manifest().splits} splits, one after the other")
    return 0


def _absolute(model: str) -> str:
    """Jobs run in another folder than the one a path was given in."""
    return str(Path(model).expanduser().resolve()) if Path(model).expanduser().is_dir() else model


def _check_counts(flags: argparse.Namespace) -> None:
    for name in ("n", "concurrency", "batch_size", "width"):
        if getattr(flags, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(flags, name)}")
