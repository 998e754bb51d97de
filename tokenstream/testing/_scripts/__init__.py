"""Scripted answers."""
