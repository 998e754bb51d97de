"""Guards of a stream, those that are awaited too."""
