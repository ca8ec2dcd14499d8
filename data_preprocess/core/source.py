"""Opens the raw splits of a dataset: on the hub, or in files that the user names."""

import dataclasses
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.core.files import find, read_examples
from data_preprocess.core.spec import AnySource, Dataset, Example, Generated, Source


@dataclass(frozen=True)
class Part:
    """One file to be made: the raw examples of `split`, or of a share of it."""

    split: str
    name: str
    examples: Iterable[Example]
    origin: str
    chosen: frozenset[int] | None = None  # numbers of the examples that belong to it; None: all
    repeats: bool = False  # equal prompts are meant

    def numbered(self) -> Iterator[tuple[int, Example]]:
        """(number within the raw split, example)."""
        for number, example in enumerate(self.examples):
            if self.chosen is None or number in self.chosen:
                yield number, example


def load(dataset: Dataset, cache_dir: str | None = None) -> tuple[object, object]:
    """`get_datasets` of most scripts: the (train, test) splits from the hub, each None, iterable, or a dict of them."""

    def split(name: str) -> object:
        opened = {key: _from_hub(dataset, source, cache_dir) for key, source in dataset.sources(name).items()}
        return next(iter(opened.values())) if list(opened) == [dataset.name] else opened or None

    return split("train"), split("test")


def open_parts(dataset: Dataset, given: tuple[object, object] | None, inputs: Path | None, seed: int,
               sizes: Mapping[str, int | None], options: Mapping[str, object]) -> list[Part]:
    """Every file that the dataset makes.

    Args:
        given: what `get_datasets` returned.
        inputs: instead, a folder or file with the raw splits.
        seed: of generators and of the choice of a test share.
        sizes: split -> rows asked for: how many a generator makes; None: its own number.
        options: of the script; for its generators.

    Raises:
        ValueError: an input is missing; the message says which file is looked for.
    """
    parts = []
    for position, split in enumerate(("train", "test")):
        sources = dataset.sources(split)
        if given is not None:
            opened = given[position]
            opened = opened if isinstance(opened, dict) else {} if opened is None else {dataset.name: opened}
            parts += [
                Part(split, name, examples, _origin(sources.get(name)), repeats=_repeats(sources.get(name)))
                for name, examples in opened.items()
            ]
            continue
        for name, source in sources.items():
            if isinstance(source, Generated) and not _is_given(dataset, split, name, source, inputs):
                made = _Made(source, _count(dataset, split, source, sizes), seed, options)
                parts.append(Part(split, name, made, "generated"))
                continue
            part = _from_files(dataset, split, name, source, inputs)
            parts += [part] if part else []
    if not parts:
        raise ValueError(f"{dataset.domain}/{dataset.name}: {inputs} holds none of {', '.join(_expected(dataset))}")
    return _share(parts, dataset.test_share, seed) if dataset.test_share else parts


def _from_hub(dataset: Dataset, source: AnySource, cache_dir: str | None) -> Iterable[Example]:
    if isinstance(source, Generated):
        raise ValueError(f"{dataset.domain}/{dataset.name} is generated; there is nothing to download")
    if not source.hub:
        raise ValueError(f"{dataset.domain}/{dataset.name} is not on the hub: {source.download}; then give its folder "
                         "with --input-dir")
    import datasets

    return datasets.load_dataset(source.hub,
                                 source.config,
                                 split=source.split,
                                 revision=source.revision,
                                 cache_dir=cache_dir)


def _is_given(dataset: Dataset, split: str, name: str, source: Generated, inputs: Path | None) -> bool:
    """Whether the examples were made before, and saved among the inputs."""
    if inputs is None or inputs.is_file():
        return inputs is not None and _is_main(dataset, split)
    return find(inputs, _stem(dataset, split, name, source)) is not None


def _count(dataset: Dataset, split: str, source: Generated, sizes: Mapping[str, int | None]) -> int:
    """How many examples to make, so that each split that is cut from them gets the rows asked for."""
    if not dataset.test_share:
        return sizes[split] or source.count
    shares = {"train": 1 - dataset.test_share, "test": dataset.test_share}
    asked = [math.ceil(size / shares[name]) for name, size in sizes.items() if size]
    return max(asked, default=source.count)


def _from_files(dataset: Dataset, split: str, name: str, source: AnySource, inputs: Path | None) -> Part | None:
    stem = _stem(dataset, split, name, source)
    if inputs is None:
        raise ValueError(f"{dataset.domain}/{dataset.name}: no input; give --input-dir or --input-file")
    path = inputs if inputs.is_file() else find(inputs, stem)
    if path is None or (inputs.is_file() and not _is_main(dataset, split)):
        return None
    reader = getattr(source, "read", None) or read_examples
    return Part(split, name, _Reread(reader, path), str(path), repeats=_repeats(source))


def _repeats(source: AnySource | None) -> bool:
    return isinstance(source, Source) and source.repeats


def _is_main(dataset: Dataset, split: str) -> bool:
    """Whether a single input file holds this split: the first one that the dataset has."""
    return split == next(split for split in ("train", "test") if dataset.sources(split))


def _stem(dataset: Dataset, split: str, name: str, source: AnySource) -> str:
    return source.local or (split if name == dataset.name else name)


def _expected(dataset: Dataset) -> list[str]:
    return [
        _stem(dataset, split, name, source)
        for split in ("train", "test")
        for name, source in dataset.sources(split).items()
    ]


def _origin(source: AnySource | None) -> str:
    return f"{source.hub} ({source.split})" if isinstance(source, Source) else "get_datasets"


def _share(parts: list[Part], test_share: float, seed: int) -> list[Part]:
    """Cuts the one train split in two, by a draw of `seed`."""
    whole, = parts
    if isinstance(whole.examples, _Made):  # made once, not for each split
        whole = dataclasses.replace(whole, examples=list(whole.examples))
    count = sum(1 for _ in whole.examples)
    test = frozenset(random.Random(f"{seed}/test").sample(range(count), round(count * test_share)))
    train = frozenset(range(count)) - test
    return [
        dataclasses.replace(whole, split=split, chosen=chosen) for split, chosen in (("train", train), ("test", test))
    ]


@dataclass(frozen=True)
class _Reread:
    """Examples of a file, read anew by each iteration."""

    reader: object
    path: Path

    def __iter__(self) -> Iterator[Example]:
        return iter(self.reader(self.path))


@dataclass(frozen=True)
class _Made:
    source: Generated
    count: int
    seed: int
    options: Mapping[str, object]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.source.make(self.count, self.seed, **self.options))
