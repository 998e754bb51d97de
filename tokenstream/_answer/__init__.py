"""The answer while it grows: events to message, and what its readers ask."""
