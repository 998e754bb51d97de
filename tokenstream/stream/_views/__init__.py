"""Views of a stream: text, reasoning, events, parts; each a cursor and a loop."""
