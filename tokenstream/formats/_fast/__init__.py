"""Read payloads that differ from earlier payloads only in their text, without decoding them."""
