"""LangChain's chat model streams: chunks of a message."""

from __future__ import annotations

from tokenstream.formats.langchain._format import LangChain

__all__ = ["LangChain"]
