"""The chat of the cookbook in Django, in Chromium, with a scripted provider behind it."""

from __future__ import annotations

import pytest

from tests.cookbook.chat_laws import ChatLaws, chat_in
from tests.support.packages import needed

needed("django")
pytestmark = pytest.mark.slow
chat = chat_in("django-chat", "application")


class TestDjango(ChatLaws):
    """Every law of chats."""
