"""Graph search puzzles: which first step leads to the goal."""
