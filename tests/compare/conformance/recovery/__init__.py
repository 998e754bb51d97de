"""Compares the recovery of an answer whose provider fails: faults, peers, and the table."""
