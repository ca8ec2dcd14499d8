"""Tests of `reward_score`."""
