"""The chats of the cookbook in Django and Litestar, in Chromium, with a scripted provider behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.chat_laws import Chat, ChatLaws, chatting
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["django application", "litestar app"])
def chat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    framework, application = request.param.split()
    needed(framework)
    with chatting(f"{framework}-chat", tmp_path_factory.mktemp(framework), application) as running:
        yield running


class TestChats(ChatLaws):
    """Every law of chats."""
