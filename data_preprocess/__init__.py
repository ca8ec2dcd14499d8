"""From raw sources to checked parquet files: one script per dataset, generators of puzzles; no torch, no Ray."""
