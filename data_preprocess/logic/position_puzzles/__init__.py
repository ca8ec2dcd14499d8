"""What puzzles about places in a line share: relations between places, a solver, the choice of few enough clues."""
