"""Encoders of formats whose answers are content blocks."""
