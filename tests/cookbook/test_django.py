"""The relay of the cookbook in Django, behind uvicorn and the middleware that compresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.relay_laws import AsyncRelayLaws
from tests.cookbook.relays import Relay, relaying
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("django")
    command = ("-m", "uvicorn", "django_relay:application", "--port", "{port}")
    with relaying("django", tmp_path_factory.mktemp("django"), *command) as running:
        yield running


class TestDjango(AsyncRelayLaws):
    """Every law of relays."""
