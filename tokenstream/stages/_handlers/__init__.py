"""A router's handlers: their descriptions, the calls that events cause, and one run over a stream."""
