"""Encoders for the protocols of user interfaces."""
