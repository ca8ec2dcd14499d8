"""Reward actors."""
