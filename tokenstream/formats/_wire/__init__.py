"""The wire formats: one folder or module per format."""
