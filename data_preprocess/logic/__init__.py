"""Logic datasets: generators of puzzles with exactly one solution, and the scripts that turn them into rows."""
