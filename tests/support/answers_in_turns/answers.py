"""Answers with several parts, choices or calls, in every format: their opening payloads and their deltas."""

from __future__ import annotations

from tests.support.answers_in_turns.anthropic import ANTHROPIC_AND_BEDROCK
from tests.support.answers_in_turns.google import GOOGLE
from tests.support.answers_in_turns.openai import OPENAI
from tests.support.answers_in_turns.others import OTHERS

ANSWERS = {**OPENAI, **ANTHROPIC_AND_BEDROCK, **GOOGLE, **OTHERS}
"""Answers by name: everything that a format can hold several of and that has a fast path."""
