"""Checks of formats and of stream handlers."""
