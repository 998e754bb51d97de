"""Pumps: they open, read and close a source for a driver."""
