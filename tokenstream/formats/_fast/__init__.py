"""Payloads that differ from the ones before them in their text alone, read without decoding them."""
