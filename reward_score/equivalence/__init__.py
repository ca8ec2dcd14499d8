"""Whether two written answers of mathematics are the same; shared by math, tables, geometry and STEM."""

from reward_score.equivalence.judging import Verdict, equivalent

__all__ = ["Verdict", "equivalent"]
