"""The chat of the cookbook in Django, in Chromium, with a scripted provider behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.chat_laws import Chat, ChatLaws, chatting
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

needed("django")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    with chatting("django-chat", tmp_path_factory.mktemp("django"), "application") as running:
        yield running


class TestDjango(ChatLaws):
    """Every law of chats."""
