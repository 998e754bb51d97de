"""The HTTP request whose answer is a stream."""
