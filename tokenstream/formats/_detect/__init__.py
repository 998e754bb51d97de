"""Detection of the format from the first frames, and the errors for frames of another one."""
