"""Several answers on one connection, one after the other."""
