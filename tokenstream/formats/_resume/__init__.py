"""Support for formats that can continue an answer over another connection."""
