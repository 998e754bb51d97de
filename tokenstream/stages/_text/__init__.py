"""Stages that shape text: they take and give `str` pieces, and wait for nothing."""
