"""`MemoryJournal`: the laws of all journals, and what it is made with."""

from __future__ import annotations

import pytest

from tests.relay.journal_laws import JournalLaws
from tests.relay.storage_laws import Opened
from tests.relay.test_memory_storage import opened_in_memory

pytestmark = pytest.mark.anyio


class TestMemoryJournal(JournalLaws):
    """Every law of journals."""

    @pytest.fixture
    def opened(self) -> Opened:
        return opened_in_memory
