"""Small immutable values below events and messages."""
