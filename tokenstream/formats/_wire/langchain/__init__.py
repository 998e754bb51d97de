"""LangChain's chat model streams: chunks of a message."""

from __future__ import annotations

from tokenstream.formats._wire.langchain.format import LangChain

__all__ = ["LangChain"]
