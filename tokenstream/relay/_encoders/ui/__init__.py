"""Encoders of formats for user interfaces."""
