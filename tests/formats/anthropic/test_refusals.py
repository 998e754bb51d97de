"""Anthropic: the explanation of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import STOP, start
from tests.formats.told import tell
from tests.support.formats import Anthropic


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"type": "refusal", "category": "cyber", "explanation": "Not that."}, "Not that."),
        ({"type": "refusal", "explanation": None}, None),
        (None, None),
        (7, None),
    ],
)
def test_the_explanation_comes_with_the_finish_reason(details: Any, message: str | None) -> None:
    """The details stay whole in the provider's data."""
    end = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    told = tell(Anthropic(), start(), {"type": "message_delta", "delta": end, "usage": {}}, STOP).message

    assert ("refusal", message) == (told.finish_reason, told.finish_message)
    assert details == told.provider_data.get("stop_details")
