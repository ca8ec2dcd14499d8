"""What does this code do: CodeI/O, CRUXEval."""
