"""The reader of strict JSON, which reads a document piece by piece."""
