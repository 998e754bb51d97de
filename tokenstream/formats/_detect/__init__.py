"""Detection of the format from the first frames, the address or an entry point."""
