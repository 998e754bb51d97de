"""Stages that read structured output as it is written: an object, the elements of an array, or a string."""
