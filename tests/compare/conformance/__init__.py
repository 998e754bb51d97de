"""How this library and others read the same bytes: the cases, the readers, and the page of results."""
