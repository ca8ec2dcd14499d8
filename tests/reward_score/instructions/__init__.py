"""Tests of reward_score.instructions."""
