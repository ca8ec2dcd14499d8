"""Seconds per GRPO step, this project beside TRL: python -m bench.grpo_step (see __main__.py)."""
