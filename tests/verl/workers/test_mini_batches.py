import numpy as np
import pytest

from verl.protocol import DataProto
from verl.workers.mini_batches import mini_batches

TOTAL = 24


def on_ranks(ranks, count, epochs, seed):
    """Positions of each mini-batch, by rank; the ranks hold rows dealt at random."""
    dealt = np.array_split(np.random.default_rng(0).permutation(TOTAL), ranks)
    parts = [mini_batches(DataProto.from_dict({"position": rows}), TOTAL, count, epochs, seed) for rows in dealt]
    return [[part.batch["position"].tolist() for part in step] for step in zip(*parts, strict=True)]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_row_once_an_epoch_whatever_the_ranks(count, seed):
    alone = [sorted(part) for (part,) in on_ranks(1, count, 2, seed)]
    assert len(alone) == 2 * count and {len(part) for part in alone} == {TOTAL // count}
    assert sorted(sum(alone[:count], [])) == sorted(sum(alone[count:], [])) == list(range(TOTAL))
    assert [sorted(sum(step, [])) for step in on_ranks(4, count, 2, seed)] == alone


def test_without_a_seed_in_order_with_one_drawn_anew():
    assert [sorted(part) for (part,) in on_ranks(1, 3, 1, None)] == [list(range(k, k + 8)) for k in (0, 8, 16)]
    drawn = [[sorted(part) for (part,) in on_ranks(1, 3, 2, seed)] for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][:3] != drawn[0][3:]
