"""Tables of what is known of APIs and of their hosts."""
