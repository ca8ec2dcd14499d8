"""Benchmarks away from what is trained on: instruction following and LiveBench."""
