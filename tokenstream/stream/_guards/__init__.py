"""Guards of a stream, also guards that have to be awaited."""
