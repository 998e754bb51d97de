"""The command `demo`: what the library does, shown on recorded answers."""
