"""The hosts of providers: one row for each, with all that is known of it before the first byte.

Bedrock's hosts are recognised by a rule, and not by the ends of their names: see `otel._report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Prefilling(NamedTuple):
    """The way a host's API continues a prefix, which is an assistant's turn at the end of a request."""

    marks: Mapping[str, Any]
    """Fields to add to the assistant's turn."""
    path: str = ""
    """The start of the paths at which the API continues a prefix."""
    echoes: bool = False
    """True if the server repeats the prefix in its answer."""
    sure: bool = True
    """True if all models of the provider continue a prefix, so that the caller need not confirm it."""
    json: bool = True
    """True if the provider continues a prefix even if the request asks for JSON."""
    by_model: bool = False
    """True if only some models continue a prefix; `_request.continued` knows which."""


class HostRow(NamedTuple):
    """All facts about a provider's hosts."""

    ends: tuple[str, ...] = ()
    """Ends of the names of the provider's hosts, for tracing; an end that begins with a dot also matches the
    host without that dot.
    """
    provider: str | None = None
    """The provider's name for tracing: that of the GenAI conventions of OpenTelemetry, or one of our own if
    they have none; with None, the format decides.
    """
    api: tuple[str, ...] = ()
    """The whole names of the hosts to which the fields below apply."""
    prefilling: Prefilling | None = None
    """The way the API continues a prefix; None if it is not known to do so."""
    dialect: str | None = None
    """The name of the API's own shape of turns, if it differs from that of its format."""


_PARTIAL = {"partial": True}

HOSTS = (
    HostRow((".api.openai.com",), "openai"),
    HostRow((".openai.azure.com",), "azure.ai.openai"),
    HostRow((".services.ai.azure.com", ".models.ai.azure.com"), "azure.ai.inference"),
    HostRow((".anthropic.com",), "anthropic", ("api.anthropic.com",), Prefilling({}, by_model=True)),
    HostRow((".generativelanguage.googleapis.com",), "gcp.gemini"),
    # A region may precede the second end.
    HostRow((".aiplatform.googleapis.com", "-aiplatform.googleapis.com"), "gcp.vertex_ai"),
    HostRow((".cohere.com", ".cohere.ai"), "cohere"),
    HostRow(
        (".mistral.ai",),
        "mistral_ai",
        ("api.mistral.ai",),
        Prefilling({"prefix": True}, echoes=True),
        dialect="mistral",
    ),
    HostRow((".groq.com",), "groq"),
    HostRow(
        (".deepseek.com",), "deepseek", ("api.deepseek.com",), Prefilling({"prefix": True}, path="/beta")
    ),
    HostRow(
        (".moonshot.ai", ".moonshot.cn"),
        None,
        ("api.moonshot.ai", "api.moonshot.cn"),
        Prefilling(_PARTIAL, json=False),
    ),
    HostRow(
        (".dashscope.aliyuncs.com", ".dashscope-intl.aliyuncs.com"),
        None,
        ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
        Prefilling(_PARTIAL, sure=False),
    ),
    HostRow((".perplexity.ai",), "perplexity"),
    HostRow((".x.ai",), "x_ai"),
    HostRow((".ml.cloud.ibm.com",), "ibm.watsonx.ai"),
)


def host_at(host: str | None) -> HostRow | None:
    """Return the row of the provider that owns a host, for tracing; None for an unknown host.

    A host belongs to a provider by the end of its name. `api_at` is stricter: it finds the host of an API.
    """
    # The dot makes the ends, which begin with one, match only whole labels of the host.
    dotted = f".{host or ''}"
    return next((row for row in HOSTS if dotted.endswith(row.ends)), None)


def api_at(host: str | None) -> HostRow | None:
    """Return the row of the provider whose API has this host name; None for any other host."""
    return next((row for row in HOSTS if host in row.api), None)
