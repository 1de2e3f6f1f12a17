"""Who computes the runs that are due."""
