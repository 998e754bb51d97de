"""How this library and others recover an answer whose provider fails: faults, peers, and the table."""
