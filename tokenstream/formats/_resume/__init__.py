"""Support for formats that go on over another connection."""
