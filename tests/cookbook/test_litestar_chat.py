"""The chat of the cookbook in Litestar, in Chromium, with a scripted provider behind it."""

from __future__ import annotations

import pytest

from tests.cookbook.chat_laws import ChatLaws, chat_in
from tests.support.packages import needed

needed("litestar")
pytestmark = pytest.mark.slow
chat = chat_in("litestar-chat", "app")


class TestLitestar(ChatLaws):
    """Every law of chats."""
