"""Building blocks of formats: parts, choices, calls, errors, usage."""
