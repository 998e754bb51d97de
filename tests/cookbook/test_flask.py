"""The relay of the cookbook on Flask's own server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.relay_laws import RelayLaws
from tests.cookbook.relays import Relay, relaying
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("flask")
    command = ("-m", "flask", "--app", "flask_relay", "run", "--port", "{port}")
    with relaying("flask", tmp_path_factory.mktemp("flask"), *command) as running:
        yield running


class TestFlask(RelayLaws):
    """Every law of relays; a thread that waits for the provider can't notice that its reader has left."""
