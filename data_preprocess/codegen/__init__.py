"""Programs judged by their tests: contests, interview questions, HumanEval, MBPP."""
