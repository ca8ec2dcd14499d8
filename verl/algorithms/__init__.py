"""Advantages, policy losses, KL and aggregation: pure functions of tensors, no process, no file."""
