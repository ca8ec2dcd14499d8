"""The tables of all rewards together: no data_source is left out, and threads and Ray actors change no score."""

from collections import Counter

import pytest
import ray

from tests.support.all_reward_cases import all_cases, failures
from tests.support.judge_server import JudgeServer

# Every name of the router that users hold rows of, in both generations.
DATA_SOURCES = """
    math math__merged_deduped_dapo_or1_dataset math__bigmath_preview_filtered_mar21 math__deepscaler_preview
    math__aime_repeated_8x math__amc_repeated_4x math__minerva math__olympiad_bench math__math
    math__aime2025_repeated_8x
    lighteval/MATH DigitalLearningGmbH/MATH-lighteval HuggingFaceH4/MATH-500 math_dapo math_dapo_reasoning aime2024
    numina_aops_forum numina_synthetic_math numina_amc_aime numina_synthetic_amc numina_cn_k12 numina_olympiads
    openai/gsm8k boba areal_math hiyouga/geometry3k
    codegen__leetcode2k codegen__taco codegen__primeintellect codegen__livecodebench codegen__humaneval
    codegen__humanevalplus codegen__mbpp codegen__mbppplus codecontests apps codeforces taco
    simulation__codeio simulation__cruxeval-i simulation__cruxeval-o
    simulation__arcagi1 simulation__arcagi2 simulation__barc logic__arcagi1 logic__arcagi2 logic__barc
    zebra_puzzle_dataset logic__zebra_puzzle ordering_puzzle_dataset logic__ordering_puzzle graph_logical_dataset
    logic__graph_logical table__hitab table__multihier table__finqa
    stem__gpqa stem__gpqa_diamond_no_box stem__gpqa_diamond stem__supergpqa stem_web stem__web
    reasoning_gym ood__ifeval ood__ifbench ood__livebench
    searchR1_nq searchR1_triviaqa searchR1_popqa searchR1_hotpotqa searchR1_2wikimultihopqa searchR1_musique
    searchR1_bamboogle
""".split()  # noqa: SIM905 -- a table of words


def test_every_data_source_has_cases_of_its_own():
    counts = Counter(data_source for data_source, _ in all_cases())
    assert {name: counts[name] for name in DATA_SOURCES if counts[name] < 8} == {}


@pytest.fixture
def judge(monkeypatch, tmp_path):
    """A judge on localhost for the sources that ask one, and the variables that name it."""
    with JudgeServer() as server:
        variables = {
            "STEM_LLM_JUDGE_URL": server.url,
            "MATH_LLM_JUDGE_URL": server.url,
            "REWARD_JUDGE_CACHE": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path)
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield variables


def test_from_eight_threads(judge):
    assert failures(threads=8) == []


def test_inside_a_ray_actor(judge, ray_cluster):

    class Scorer:

        def failures(self) -> list[str]:
            return failures(threads=2)

    actor = ray.remote(num_cpus=0)(Scorer).options(runtime_env={"env_vars": judge}).remote()
    try:
        assert ray.get(actor.failures.remote(), timeout=200) == []
    finally:
        ray.kill(actor)
