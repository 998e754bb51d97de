"""Bedrock's InvokeModelWithResponseStream: the native stream of each model, packed into chunks."""

from __future__ import annotations

from tokenstream.formats._wire.bedrock_invoke.format import BedrockInvoke

__all__ = ["BedrockInvoke"]
