"""Bedrock's Converse API for any model: ConverseStream, and Nova's native stream, which is alike."""

from __future__ import annotations

from tokenstream.formats._wire.bedrock_converse.format import BedrockConverse

__all__ = ["BedrockConverse"]
