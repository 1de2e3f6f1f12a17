"""One loop for every loss."""
