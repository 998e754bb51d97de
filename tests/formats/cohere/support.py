"""What reading payloads of Cohere v2 gives."""

from __future__ import annotations

from tests.formats.cohere.payloads import Payload, frame, read_by
from tests.formats.told import Told
from tests.support.formats import Cohere


def read(*payloads: Payload) -> Told:
    return read_by(Cohere(), *map(frame, payloads))
