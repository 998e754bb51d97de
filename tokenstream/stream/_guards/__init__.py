"""Guards of a stream, including those that have to be awaited."""
