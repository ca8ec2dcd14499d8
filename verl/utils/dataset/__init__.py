"""Prompts and SFT samples: reading rows, tokenising them, and the order in which they are drawn."""
