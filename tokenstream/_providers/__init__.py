"""What is known of APIs and of their hosts, as tables."""
