"""Small tools that every room uses; they know nothing of streams."""
