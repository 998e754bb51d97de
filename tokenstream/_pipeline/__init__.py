"""The machine that streams and decoders drive, and its optional parts."""
