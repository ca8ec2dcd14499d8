"""Splits a dataset, has a model answer it at scale, and turns the answers into pass rates that training filters by."""
