"""Helpers that know nothing of processes."""
