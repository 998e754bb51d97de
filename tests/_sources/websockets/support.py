"""Servers of websockets, and connections to them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import websockets.sync.client as sync_client

from tests._sources.sockets import open_socket, talk

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@contextmanager
def opened(script: Callable[[ServerConnection], None] = talk) -> Generator[Any]:
    with open_socket(script) as url, sync_client.connect(url) as connection:
        yield connection
