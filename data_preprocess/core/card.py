"""What a run says of a file it made."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

BARS = 30
BINS = 8


@dataclass
class Card:
    """Saved beside the parquet as `<file>.card.json`.

    Attributes:
        read, kept, written: examples in; rows after filters and duplicates; rows after sampling.
        dropped: reason -> how many; `shown`: reason -> a few of them.
        lengths: of prompts, in `unit`, of the rows kept: upper bound of each bin -> rows.
        sources: data_source -> rows written.
    """

    dataset: str
    split: str
    origin: str
    command: str
    file: str = ""
    sha256: str = ""
    read: int = 0
    kept: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    unit: str = "characters"
    lengths: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)

    def save(self) -> None:
        """Writes it beside its file."""
        Path(f"{self.file}.card.json").write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def __str__(self) -> str:
        lines = [f"{self.dataset} ({self.split}) from {self.origin}"]
        lines.append(f"  {self.read} read, {self.kept} kept, {self.written} written to {self.file}")
        for reason, count in self.dropped.items():
            lines.append(f"  dropped {count}: {reason}")
            lines += [f"      {example}" for example in self.shown.get(reason, [])]
        lines.append(f"  length of prompts in {self.unit}:")
        most = max(self.lengths.values(), default=1)
        lines += [
            f"    <= {bound:>7} {'#' * max(1, BARS * count // most)} {count}" for bound, count in self.lengths.items()
            if count
        ]
        lines.append(f"  sha256 {self.sha256}")
        lines.append(f"  again: {self.command}")
        return "\n".join(lines)


def histogram(lengths: Sequence[int]) -> dict[str, int]:
    """Counts by power of two."""
    bounds = Counter(1 << max(0, length - 1).bit_length() for length in lengths)
    return {str(bound): bounds[bound] for bound in sorted(bounds)}
