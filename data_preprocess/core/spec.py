"""What a dataset's script says about itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_preprocess.core.filters.base import Filter

Example = Mapping[str, object]
Row = dict[str, object]
Reader = Callable[[Path], Iterator[Example]]


class Drop(Exception):
    """Raised by a `process_fn` for an example that makes no row; its text is the reason, counted on the card."""


@dataclass(frozen=True)
class Source:
    """Where raw examples come from: a dataset of the Hugging Face hub, or a folder that the user has downloaded.

    Attributes:
        hub: hub id; empty for what is not there.
        split, config, revision: of the hub dataset.
        local: name of the file (without ending) or folder with the examples in `--input-dir`; empty: `train` or `test`.
        read: turns that file or folder into examples, for raw formats other than one example per row.
        download: for people: how to get what is not on the hub.
        repeats: prompts come several times on purpose, as in a test set for an average over samples; none is dropped.
    """

    hub: str = ""
    split: str = "train"
    config: str | None = None
    revision: str | None = None
    local: str = ""
    read: Reader | None = None
    download: str = ""
    repeats: bool = False


@dataclass(frozen=True)
class Generated:
    """Examples that are made, not read.

    Attributes:
        make: `make(count, seed, **options)` yields them; `options` are the script's own, as `make_map_fn` gets them.
        count: how many, unless a sample size says so.
    """

    make: Callable[..., Iterable[Example]]
    count: int
    local: str = ""


AnySource = Source | Generated


@dataclass(frozen=True)
class Dataset:
    """One dataset: a script of this package defines it as `DATASET`, and a `make_map_fn` beside it.

    Attributes:
        domain, name: the file is `<domain>__<name>_<rows>.parquet`.
        train, test: the raw splits; a dict where one script makes several files, by name. None: there is none.
        test_share: share of `train` that is set aside as test split, in (0, 1); only without `test`.
        data_source: of the rows; empty: `<domain>__<name>`.
        ability: the rows' `ability`; empty: the domain.
        filters: applied to every row, in order.
        max_prompt_tokens: longer prompts are dropped where `--tokenizer` is given; `--max-prompt-tokens` overrides it.
        train_sample_size, test_sample_size: rows kept unless the flags say otherwise; None: all.
        options: flags of this script and their defaults, passed to its `make_map_fn` and generators by
            keyword.
        suffix: `suffix(split, options)` is appended to the name in the file name, where options make several datasets.
        licence, origin, size: for the table of datasets: licence as its card states it, where it comes from, how many
            raw rows it has.
    """

    domain: str
    name: str
    train: AnySource | Mapping[str, AnySource] | None = None
    test: AnySource | Mapping[str, AnySource] | None = None
    test_share: float = 0.0
    data_source: str = ""
    ability: str = ""
    filters: tuple[Filter, ...] = ()
    max_prompt_tokens: int | None = None
    train_sample_size: int | None = None
    test_sample_size: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    suffix: Callable[[str, Mapping[str, object]], str] = lambda split, options: ""
    licence: str = "not stated"
    origin: str = ""
    size: str = ""

    def __post_init__(self) -> None:
        if self.test_share and self.test is not None:
            raise ValueError(f"{self.domain}/{self.name}: give test or test_share, not both")

    @property
    def is_generated(self) -> bool:
        """Whether nothing has to be downloaded."""
        return all(isinstance(s, Generated) for split in ("train", "test") for s in self.sources(split).values())

    def sources(self, split: str) -> dict[str, AnySource]:
        """Name -> source of one split."""
        source = {"train": self.train, "test": self.test}[split]
        if source is None:
            return {}
        return dict(source) if isinstance(source, Mapping) else {self.name: source}
