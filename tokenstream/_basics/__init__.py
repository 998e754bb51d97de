"""Small tools that all other packages use; they know nothing of streams."""
