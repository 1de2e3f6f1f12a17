"""What is read back from a data folder."""
