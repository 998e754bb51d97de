"""The strict reader of JSON, piece by piece."""
