"""Tool calls that a model has written into its text, read while the text arrives."""
