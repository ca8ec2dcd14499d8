import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from data_preprocess.logic import puzzle_gen
from data_preprocess.logic.graph_dataset_gen import logic
from data_preprocess.logic.seeding import generate_unique, puzzle_id
from data_preprocess.logic.zebrapuzzle_gen import puzzle_generator

GENERATORS = {"zebra": (puzzle_generator, 14, 5), "ordering": (puzzle_gen, 24, 4), "graph": (logic, 27, 3)}
ROOT = Path(__file__).parents[3]


def as_json(puzzles):
    return [json.dumps(puzzle) for puzzle in puzzles]


@pytest.fixture(params=GENERATORS)
def generator(request):
    """(module, how many puzzles, a small size)."""
    return GENERATORS[request.param]


def test_one_seed_one_text_another_seed_another(generator):
    module, count, _ = generator
    made = as_json(module.generate_many(count, 42))
    assert made == as_json(module.generate_many(count, 42))
    assert not set(made) & set(as_json(module.generate_many(count, 43)))


def test_a_puzzle_does_not_depend_on_how_many_are_made_or_where_one_begins(generator):
    module, count, _ = generator
    made = as_json(module.generate_many(count, 1))
    assert made[:7] == as_json(module.generate_many(7, 1))
    assert made[7:] == as_json(module.generate_many(count - 7, 1, first=7))


def test_a_single_puzzle_depends_on_its_rng_only(generator):
    module, _, size = generator
    assert module.generate(Random(3), size) == module.generate(Random(3), size) != module.generate(Random(4), size)


def test_other_processes_make_the_same(generator):
    module, _, _ = generator
    code = f"import json, {module.__name__} as m\nfor puzzle in m.generate_many(6, 42): print(json.dumps(puzzle))"
    made = {subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
                           capture_output=True, text=True, check=True).stdout for seed in "12"}  # yapf: disable
    assert made == {"\n".join(as_json(module.generate_many(6, 42))) + "\n"}


def test_puzzles_are_json_and_have_the_same_fields(generator):
    module, count, _ = generator
    puzzles = list(module.generate_many(count, 2))
    assert puzzles == [json.loads(text) for text in as_json(puzzles)]
    assert len({tuple(puzzle) for puzzle in puzzles}) == 1
    assert {"id", "instruction", "input", "ground_truth"} <= puzzles[0].keys()


def test_no_puzzle_comes_twice():
    puzzles = list(puzzle_gen.generate_many(3000, 5, sizes=[3]))
    assert len({puzzle["id"] for puzzle in puzzles}) == len(puzzles)
    asked = {(tuple(sorted(line.split(". ")[1] for line in puzzle["input"].splitlines())), *puzzle["ground_truth"])
             for puzzle in puzzles}  # yapf: disable
    assert len(asked) == len(puzzles)


def test_a_puzzle_drawn_before_is_drawn_anew():

    def make(rng, size):
        return {"id": puzzle_id("die", rng.randrange(size))}

    puzzles = list(generate_unique(make, "die", 6, 0, [6], 0))
    assert len({puzzle["id"] for puzzle in puzzles}) == 6
    assert puzzles[:3] == list(generate_unique(make, "die", 3, 0, [6], 0))
    with pytest.raises(ValueError, match="no new die puzzle of size 6 after 6: ask for fewer"):
        list(generate_unique(make, "die", 7, 0, [6], 0))
    with pytest.raises(ValueError, match="no sizes"):
        list(generate_unique(make, "die", 1, 0, [], 0))


def test_ids_say_what_is_asked():
    assert puzzle_id("a", [1], "x") == puzzle_id("a", [1], "x") != puzzle_id("a", [1], "y")
    assert puzzle_id("a", [1]).startswith("a-")


def test_generators_need_no_library():
    modules = ", ".join(module.__name__ for module, _, _ in GENERATORS.values())
    code = f"import sys, {modules}; print(*sorted(set(sys.modules) & {{'numpy', 'torch', 'ray', 'pandas', 'pyarrow'}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
