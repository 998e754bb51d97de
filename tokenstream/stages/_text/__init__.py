"""Stages that shape text: they take and return pieces of text as `str`, and never wait."""
