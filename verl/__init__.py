"""Reasoning360: reinforcement learning of reasoning LLMs on verifiable rewards."""
