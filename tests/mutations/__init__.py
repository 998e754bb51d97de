"""Small changes to core modules, and whether the tests notice them: `python -m tests.mutations`."""
