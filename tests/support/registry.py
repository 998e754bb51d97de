"""The formats by their names, for tests that go through all of them; only here is their registry known."""

from tokenstream.formats._registry import create, detect, load, names

__all__ = ["create", "detect", "load", "names"]
