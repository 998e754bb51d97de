"""Readers of the JSON lines that coding agents print."""
