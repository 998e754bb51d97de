"""`tap`: watch somebody else's stream and keep its message."""
