"""The machine that streams and decoders drive, and its variants for guards and recovery."""
