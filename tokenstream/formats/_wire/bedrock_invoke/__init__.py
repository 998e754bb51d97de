"""Bedrock's InvokeModelWithResponseStream: each model's own stream, packed into chunks."""

from __future__ import annotations

from tokenstream.formats._wire.bedrock_invoke.format import BedrockInvoke

__all__ = ["BedrockInvoke"]
