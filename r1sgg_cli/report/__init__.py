"""HTML pages that show a run to a person: the numbers, the curves and the pictures."""
