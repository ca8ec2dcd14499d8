"""Rollout replicas: engines that turn token ids into completions."""
