"""Metrics and spans of OpenTelemetry, as its GenAI conventions name them.

Importing this module takes no OpenTelemetry; the extra `otel` has its API.
"""

from __future__ import annotations

from tokenstream.otel._observe import observe

__all__ = ["observe"]
