"""LangChain's chat model streams: chunks of a message, and the events of its streaming protocol."""

from __future__ import annotations

from tokenstream.formats._wire.langchain.format import LangChain
from tokenstream.formats._wire.langchain.protocol import LangChainProtocol

__all__ = ["LangChain", "LangChainProtocol"]
