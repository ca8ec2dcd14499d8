"""Training engines: packed forward and backward of a causal LM, its optimizer, weights and checkpoints."""
