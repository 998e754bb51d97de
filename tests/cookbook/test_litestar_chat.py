"""The chat of the cookbook in Litestar, in Chromium, with a scripted provider behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.chat_laws import Chat, ChatLaws, chatting
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

needed("litestar")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    with chatting("litestar-chat", tmp_path_factory.mktemp("litestar"), "app") as running:
        yield running


class TestLitestar(ChatLaws):
    """Every law of chats."""
