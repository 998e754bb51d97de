"""One connection: its response head, its framing and its format."""
