"""Makes the files of one dataset: read -> map, check, filter (in worker processes) -> duplicates -> sample -> write.

Examples stream through in chunks; what waits for the sampling step lies on disk, so memory does not grow with the
dataset. The result depends on the inputs and the seed, not on the number of processes.
"""

import collections
import itertools
import multiprocessing
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from data_preprocess.core.card import Card, histogram
from data_preprocess.core.filters import ContaminationFilter, Duplicates, Filter
from data_preprocess.core.mapping import Chunk, Job, process_chunk
from data_preprocess.core.output import Kept, add_suffix, choose, write_parquet
from data_preprocess.core.scripts import load_script
from data_preprocess.core.source import Part, open_parts
from data_preprocess.core.spec import Dataset, Example

CHUNK = 1000  # examples
CHUNK_CHARACTERS = 2**24  # code datasets have megabytes of tests in one example


@dataclass(frozen=True)
class Settings:
    """The flags that all scripts share; see `cli`."""

    data_dir: Path = Path("data")
    inputs: Path | None = None
    cache_dir: str | None = None
    train_sample_size: int | None = None
    test_sample_size: int | None = None
    seed: int = 42
    tokenizer: str = ""
    max_prompt_tokens: int | None = None
    dedupe: str = "exact"
    against: tuple[str, ...] = ()
    num_proc: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    options: dict[str, object] = field(default_factory=dict)


def run_dataset(script: Path, dataset: Dataset, settings: Settings) -> list[Card]:
    """Makes every file of `dataset`, whose `make_map_fn` is in the file `script`; returns their cards, which are saved
    as well.

    Raises:
        ValueError: bad input, a row that training could not use, or a filter that failed.
    """
    fetch = getattr(load_script(script), "get_datasets", None)
    given = fetch(settings.cache_dir) if fetch and settings.inputs is None and not dataset.is_generated else None
    sizes = {split: _sample_size(dataset, split, settings) for split in ("train", "test")}
    options = {**dataset.options, **settings.options}
    parts = open_parts(dataset, given, settings.inputs, settings.seed, sizes, options)
    shared = Duplicates(settings.dedupe) if dataset.test_share else None  # no prompt lands on both sides of a cut
    with tempfile.TemporaryDirectory(prefix="data_preprocess-") as folder:
        return [_make(script, dataset, part, settings, Path(folder) / str(n), shared) for n, part in enumerate(parts)]


def _make(script: Path, dataset: Dataset, part: Part, settings: Settings, folder: Path,
          duplicates: Duplicates | None) -> Card:
    folder.mkdir()
    data_source = dataset.data_source or f"{dataset.domain}__{part.name}"
    job = Job(script, f"{dataset.domain}/{part.name}", part.split, data_source, {
        **dataset.options,
        **settings.options
    }, _filters(settings), settings.tokenizer, _longest(dataset, settings), "off" if part.repeats else settings.dedupe,
              folder)
    card = Card(job.name, part.split, part.origin, _command(), unit="tokens" if settings.tokenizer else "characters")
    chunks, lengths = _collect(job, part, settings.num_proc, card, duplicates or Duplicates(job.dedupe))
    if not card.kept:
        raise ValueError(f"{job.name} ({part.split}): no row is left of {card.read}; dropped: {card.dropped}")
    size = _sample_size(dataset, part.split, settings)
    chosen = choose(card.kept, size, settings.seed, f"{part.split}/{part.name}")
    card.written = card.kept if chosen is None else len(chosen)
    name = f"{dataset.domain}__{part.name}{dataset.suffix(part.split, job.options)}"
    path = settings.data_dir / part.split / f"{add_suffix(name, card.written)}.parquet"
    card.file, card.lengths, card.sources = str(path), histogram(lengths), {data_source: card.written}
    card.sha256 = write_parquet(path, _take(chunks, chosen))
    card.save()
    return card


def _collect(job: Job, part: Part, num_proc: int, card: Card, duplicates: Duplicates) -> tuple[list[Kept], list[int]]:
    """Runs all chunks; -> what is kept of each, and the lengths of the kept prompts."""
    chunks, lengths = [], []
    for chunk in _run_chunks(job, _chunked(part.numbered()), num_proc):
        copies = {position: copy for position, copy in enumerate(map(duplicates.copies_before, chunk.keys)) if copy}
        if job.dedupe == "off":
            kept = list(range(len(chunk.keys)))
        else:
            kept, copies = [position for position in range(len(chunk.keys)) if position not in copies], {}
        repeated = len(chunk.keys) - len(kept)
        if repeated:
            chunk.dropped[duplicates.reason] = repeated
        card.read += chunk.read
        card.kept += len(kept)
        for reason, count in chunk.dropped.items():
            card.dropped[reason] = card.dropped.get(reason, 0) + count
        for reason, examples in chunk.shown.items():
            card.shown[reason] = (card.shown.get(reason, []) + examples)[:3]
        lengths += [chunk.lengths[position] for position in kept]
        chunks.append(Kept(chunk.path, kept, copies))
    return chunks, lengths


def _run_chunks(job: Job, chunks: Iterable[list], num_proc: int) -> Iterator[Chunk]:
    """Results in the order of `chunks`; only so many are under way that memory stays bounded."""
    numbered = enumerate(chunks)
    first = list(itertools.islice(numbered, 2))
    if num_proc == 1 or len(first) < 2:
        for number, examples in itertools.chain(first, numbered):
            yield process_chunk(job, number, examples)
        return
    context = multiprocessing.get_context("forkserver")  # tokenizers have threads, which a plain fork would break
    if job.tokenizer:
        context.set_forkserver_preload(["verl.utils.dataset.chat"])  # takes seconds, so once
    with ProcessPoolExecutor(num_proc, mp_context=context, initializer=_start_worker) as pool:
        waiting: collections.deque[Future] = collections.deque()
        for number, examples in itertools.chain(first, numbered):
            waiting.append(pool.submit(process_chunk, job, number, examples))
            if len(waiting) > 2 * num_proc:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _start_worker() -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there is a process for each core


def _chunked(examples: Iterable[tuple[int, Example]]) -> Iterator[list]:
    chunk, size = [], 0
    for number, example in examples:
        chunk.append((number, example))
        size += sum(len(value) for value in example.values() if isinstance(value, str))
        if len(chunk) == CHUNK or size > CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _filters(settings: Settings) -> tuple[Filter, ...]:
    return (ContaminationFilter(settings.against),) if settings.against else ()


def _longest(dataset: Dataset, settings: Settings) -> int | None:
    if settings.max_prompt_tokens is not None and not settings.tokenizer:
        raise ValueError("--max-prompt-tokens needs --tokenizer: the folder or hub id of the model's tokenizer")
    return (settings.max_prompt_tokens or dataset.max_prompt_tokens) if settings.tokenizer else None


def _sample_size(dataset: Dataset, split: str, settings: Settings) -> int | None:
    if split == "train":
        return settings.train_sample_size or dataset.train_sample_size
    return settings.test_sample_size or dataset.test_sample_size


def _take(chunks: list[Kept], chosen: set[int] | None) -> list[Kept]:
    """Only the rows that belong to the sample; `chosen` counts over all chunks."""
    taken, start = [], 0
    for chunk in chunks:
        numbered = enumerate(chunk.positions, start)
        positions = [position for number, position in numbered if chosen is None or number in chosen]
        taken.append(Kept(chunk.path, positions, chunk.copies))
        start += len(chunk.positions)
    return taken


def _command() -> str:
    return shlex.join([
        "python", *(["-m", "data_preprocess"] if sys.argv[0].endswith("__main__.py") else sys.argv[:1]), *sys.argv[1:]
    ])
