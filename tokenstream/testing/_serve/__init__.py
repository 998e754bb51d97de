"""A server for tests, and transports for clients."""
