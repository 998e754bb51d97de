"""Faults: changes to a recording that imitate what networks and servers do."""
