"""Random training batches of uneven lengths."""
import numpy as np

from verl.protocol import DataProto
from verl.utils.ragged import Ragged


def make_batch(rows: int, vocab: int = 61, seed: int = 0, longest: int = 12, n: int = 1) -> DataProto:
    """Prompts of 1 to `longest` tokens, each for every (rows / `n`)-th row; responses of 0 to `longest`, some of whose
    tokens are masked out.
    """
    rng = np.random.default_rng(seed)
    prompt_lengths = rng.integers(1, longest + 1, rows // n)
    lengths = rng.integers(0, longest + 1, rows)
    tokens = int(lengths.sum())
    responses = Ragged.from_lengths(rng.integers(2, vocab, tokens).astype(np.int32), lengths)
    like = lambda values: Ragged(values, responses.offsets)
    return DataProto.from_dict({
        "prompts":
            Ragged.from_lengths(rng.integers(2, vocab, int(prompt_lengths.sum())).astype(np.int32),
                                prompt_lengths).repeat(n, interleave=False),
        "responses":
            responses,
        "response_mask":
            like(rng.random(tokens) < 0.9),
        "old_log_probs":
            like(rng.normal(-4.0, 0.5, tokens).astype(np.float32)),
        "ref_log_prob":
            like(rng.normal(-4.0, 0.5, tokens).astype(np.float32)),
        "advantages":
            rng.normal(size=rows).astype(np.float32),
    })
