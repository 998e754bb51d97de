"""One stream for several consumers, and several streams in one loop."""
