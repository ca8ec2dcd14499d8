"""Mathematics: problems whose answer is a number, a formula or a short text."""
