"""Metrics and spans of OpenTelemetry, as its GenAI conventions name them.

Importing this module does not import OpenTelemetry; the extra `otel` installs its API.
"""

from __future__ import annotations

from tokenstream.otel._observe import observe

__all__ = ["observe"]
