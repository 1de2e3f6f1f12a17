"""What value equivalence says of one world: an analysis, its figures, one page."""
