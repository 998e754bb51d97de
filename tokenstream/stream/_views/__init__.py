"""Views of a stream, such as its text; each consists of a cursor and a loop over it."""
