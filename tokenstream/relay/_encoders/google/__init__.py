"""Encoders of Google's formats."""
