"""Faults: changes to a recording, as networks and servers make them."""
