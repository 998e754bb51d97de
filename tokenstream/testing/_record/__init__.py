"""`record`: write the recording of an answer while somebody else reads it."""
