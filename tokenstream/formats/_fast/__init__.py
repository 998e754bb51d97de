"""Read payloads that differ from earlier ones in their text alone, without decoding them."""
