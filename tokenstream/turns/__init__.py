"""Messages back to providers: the assistant's turn in the shape of an API's next request."""

from tokenstream.turns._drop import Drop, Kind

__all__ = ["Drop", "Kind"]
