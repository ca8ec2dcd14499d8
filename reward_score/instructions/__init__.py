"""Verifiable instructions: does a text hold to `keywords:existence`, `punctuation:no_comma` and 52 others?

Names and arguments are those of IFEval (Zhou et al. 2023, arXiv:2311.07911; 25 ids) and IFBench-Train (Pyatkin et al.
2025, arXiv:2507.02833; 29 ids). What counts is the sentence that the model was given; where a published checker tests
something else, the docstring of ours says so. Everything is deterministic, offline and linear in the text.
"""

from reward_score.instructions import casing, copying, counting, formatting, keywords, lengths, positions  # noqa: F401
