"""What every journal holds to, whatever its storage; a kind of journal runs it by a subclass in its tests."""

from __future__ import annotations

from tests.relay.journal_laws.failing import FailureLaws
from tests.relay.journal_laws.leaving import LeavingLaws
from tests.relay.journal_laws.producing import ProducingLaws
from tests.relay.journal_laws.reading import ReadingLaws


class JournalLaws(ReadingLaws, ProducingLaws, FailureLaws, LeavingLaws):
    """The laws. The module of a subclass has a fixture `opened`, an `Opened`."""
