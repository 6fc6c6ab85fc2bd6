"""What differs between model families, in one table, and tiny checkpoints of each for tests and the demo."""
