"""Pumps, which open, read and close a source for a driver."""
