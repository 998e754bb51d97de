"""Evidence for each line: what reaches the statements inside the package's functions."""
