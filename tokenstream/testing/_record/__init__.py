"""Implementation of `record`, which records an answer while the application reads it."""
