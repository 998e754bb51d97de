"""The encoders by the names of their formats, for tests: the one place that knows where they are made."""

from tokenstream.relay._encoders import Encoder, create, load, names

__all__ = ["Encoder", "create", "load", "names"]
