"""Known hops, which are proxies and platforms: their signs, their settings and their time limits.

Each entry contains only facts that the hop's documentation states or its responses show.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

LimitOn: TypeAlias = Literal["silence", "first byte", "answer"]
"""The time that a limit bounds: a silence, the time until the first byte, or that of the whole answer."""

_TOLERANCE = 0.5
_TOLERANCE_SHARE = 0.03
"""Tolerance for matching a cut to a limit: the larger of these seconds and this share of the limit."""


class Limit(NamedTuple):
    """A default time limit after which a hop (a proxy or a platform) cuts off an answer."""

    seconds: float
    on: LimitOn
    """The time that is limited: of any silence, until the first byte, or of the whole answer."""
    change: str
    """Advice on raising or avoiding the limit."""

    def fits(self, seconds: float) -> bool:
        return abs(seconds - self.seconds) <= max(_TOLERANCE, _TOLERANCE_SHARE * self.seconds)


def round_time(seconds: float) -> int | None:
    """Return a round number of seconds near a duration, which may have been set as a limit; or None."""
    return next((time for time in _TIMES if abs(seconds - time) <= _TOLERANCE), None)


class Hop(NamedTuple):
    """A proxy or a platform on the path of an answer."""

    name: str
    signs: tuple[tuple[str, str], ...] = ()
    """Signs of the hop in a response: pairs of a header's lower-case name, which may end in "*", and
    words in the header's value; "" stands for any value."""
    unbuffer: str = ""
    """Setting that makes the hop forward events at once; "" if it always does, or if no setting is known."""
    uncompress: str = ""
    """Setting that prevents the hop from compressing an event stream; "" if none is known."""
    limits: tuple[Limit, ...] = ()
    source: str = ""
    """Address of the document with these facts."""


_ANY_VALUE = ""
_KEEP_ALIVE = "send a comment or a ping every 10 seconds"
_KEEP_ALIVE_ONLY = f"{_KEEP_ALIVE}, because the limit is fixed"
_SEND_HEAD = "send a comment together with the head, because the limit is fixed"

HOPS = (
    Hop(
        name="nginx",
        signs=(("server", "nginx"), ("server", "openresty")),
        unbuffer=(
            "`proxy_buffering off;` in its location, or `X-Accel-Buffering: no` on your server's response"
        ),
        uncompress="leave text/event-stream out of `gzip_types`, or set `gzip off;` in its location",
        limits=(Limit(60, "silence", f"raise `proxy_read_timeout`, or {_KEEP_ALIVE}"),),
        source="https://nginx.org/en/docs/http/ngx_http_proxy_module.html",
    ),
    Hop(
        name="Apache httpd",
        signs=(("server", "apache"),),
        unbuffer="`ProxyPass … flushpackets=on`",
        source="https://httpd.apache.org/docs/2.4/mod/mod_proxy.html",
    ),
    Hop(
        name="Caddy",
        signs=(("server", "caddy"), ("via", "caddy")),
        unbuffer="label the body text/event-stream, which Caddy flushes at once, or set `flush_interval -1`",
        source="https://caddyserver.com/docs/caddyfile/directives/reverse_proxy",
    ),
    Hop(
        name="Traefik",
        unbuffer="set the service's `responseForwarding.flushInterval`, unless the body is an event stream",
        uncompress="set `excludedContentTypes: text/event-stream` in its compress middleware",
        source="https://doc.traefik.io/traefik/middlewares/http/compress/",
    ),
    Hop(
        name="nghttpx",
        signs=(("server", "nghttpx"), ("via", "nghttpx")),
        limits=(Limit(60, "silence", f"raise `--backend-read-timeout`, or {_KEEP_ALIVE}"),),
        source="https://nghttp2.org/documentation/nghttpx.1.html",
    ),
    Hop(
        name="Envoy or Istio",
        signs=(("server", "envoy"), ("server", "istio-envoy"), ("x-envoy-*", _ANY_VALUE)),
        limits=(
            Limit(15, "answer", "set the route's `timeout` to 0"),
            Limit(300, "silence", f"raise `stream_idle_timeout`, or {_KEEP_ALIVE}"),
        ),
        source="https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts",
    ),
    Hop(
        name="Cloudflare",
        signs=(("server", "cloudflare"), ("cf-ray", _ANY_VALUE)),
        limits=(
            # Within one year, Cloudflare's documentation named both numbers.
            Limit(100, "silence", f"{_KEEP_ALIVE}, or raise its Proxy Read Timeout"),
            Limit(120, "silence", f"{_KEEP_ALIVE}, or raise its Proxy Read Timeout"),
        ),
        source="https://developers.cloudflare.com/fundamentals/reference/connection-limits/",
    ),
    Hop(
        name="CloudFront",
        signs=(("x-amz-cf-id", _ANY_VALUE), ("via", "(cloudfront)"), ("x-cache", "from cloudfront")),
        limits=(Limit(30, "first byte", "raise the origin's response timeout"),),
        source="https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CustomOriginConfig.html",
    ),
    Hop(
        name="AWS API Gateway",
        signs=(("x-amz-apigw-id", _ANY_VALUE), ("apigw-requestid", _ANY_VALUE)),
        unbuffer=(
            "set `responseTransferMode: STREAM` in a REST API's integration, "
            "and turn off its cache, encoding and VTL"
        ),
        limits=(
            Limit(30, "silence", f"{_KEEP_ALIVE}, or use a regional endpoint"),
            Limit(300, "silence", _KEEP_ALIVE),
            Limit(900, "answer", "ask for shorter answers, because the limit is fixed"),
        ),
        source="https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html",
    ),
    Hop(
        name="AWS load balancer",
        signs=(("server", "awselb"),),
        limits=(Limit(60, "silence", f"raise `idle_timeout.timeout_seconds`, or {_KEEP_ALIVE}"),),
        source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html",
    ),
    Hop(
        name="Google Cloud load balancer",
        signs=(("via", "1.1 google"),),
        limits=(Limit(30, "answer", "raise the backend service's `timeoutSec`"),),
        source="https://cloud.google.com/compute/docs/reference/rest/v1/backendServices",
    ),
    Hop(
        name="Cloud Run",
        signs=(("server", "google frontend"),),
        limits=(Limit(300, "answer", "raise the service's request timeout"),),
        source="https://cloud.google.com/run/docs/configuring/request-timeout",
    ),
    Hop(
        name="Azure API Management",
        unbuffer='set `<forward-request buffer-response="false"/>`, and neither log nor validate the body',
        limits=(Limit(240, "silence", _KEEP_ALIVE),),
        source="https://learn.microsoft.com/azure/api-management/how-to-server-sent-events",
    ),
    Hop(
        name="Azure Front Door",
        signs=(("x-azure-ref", _ANY_VALUE),),
        source="https://learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol",
    ),
    Hop(
        name="Azure Application Gateway",
        unbuffer="turn off its response buffers",
        source="https://learn.microsoft.com/azure/application-gateway/use-server-sent-events",
    ),
    Hop(
        name="Azure App Service",
        limits=(Limit(230, "silence", _KEEP_ALIVE_ONLY),),
        source="https://learn.microsoft.com/troubleshoot/azure/app-service/web-apps-performance-faqs",
    ),
    Hop(
        name="Heroku",
        signs=(("server", "heroku"), ("via", "heroku-router"), ("via", "vegur")),
        limits=(Limit(30, "first byte", _SEND_HEAD), Limit(55, "silence", _KEEP_ALIVE_ONLY)),
        source="https://devcenter.heroku.com/articles/request-timeout",
    ),
    Hop(
        name="Vercel",
        signs=(("server", "vercel"), ("x-vercel-id", _ANY_VALUE)),
        limits=(
            Limit(25, "first byte", "let an edge function send a comment together with the head"),
            Limit(300, "answer", "raise the function's `maxDuration`"),
        ),
        source="https://vercel.com/docs/functions/configuring-functions/duration",
    ),
    Hop(
        name="ngrok",
        limits=(
            Limit(30, "silence", _KEEP_ALIVE),
            Limit(900, "answer", "ask for shorter answers, because the limit is fixed"),
        ),
        source="https://ngrok.com/docs/whats-new/",
    ),
    Hop(
        name="Gcore CDN",
        limits=(Limit(30, "silence", _KEEP_ALIVE),),
        source="https://gcore.com/docs/cdn/getting-started/cdn-timeouts",
    ),
    Hop(name="Fastly or Varnish", signs=(("via", "varnish"), ("x-varnish", _ANY_VALUE))),
)
"""The known hops, in no particular order."""
_UNKNOWN_HOP = Hop(name="an unknown proxy")
_TIMES = (10, 15, 20, 25, 30, 45, 55, 60, 90, 100, 120, 150, 180, 230, 240, 300, 600, 900, 1200, 1800, 3600)
"""Numbers of seconds that are often set as limits."""


def find_hops(headers: Iterable[tuple[str, str]]) -> dict[str, tuple[Hop, str]]:
    """Return the hops that the headers of responses, with lower-case names, reveal, by name.

    Each comes with a description of the sign: the header that reveals the hop.

    Example:
        >>> {name: sign for name, (_, sign) in find_hops([("server", "nginx/1.22.1")]).items()}
        {'nginx': 'its header server: nginx/1.22.1'}
    """
    hops: dict[str, tuple[Hop, str]] = {}
    for name, value in headers:
        # A space on both sides of each word, so that only whole words are found.
        words = f" {' '.join(value.lower().replace('/', ' ').replace(',', ' ').split())} "
        matches = [
            (hop, expected)
            for hop in HOPS
            for sign, expected in hop.signs
            # The sign's name may end in "*".
            if fnmatchcase(name, sign) and (not expected or f" {expected} " in words)
        ]
        # Any hop may add itself to Via.
        if name == "via" and not matches:
            matches = [(_UNKNOWN_HOP, value)]
        for hop, expected in matches:
            # If the mere presence of the header is the sign, its value is not part of the description.
            description = f"its header {name}" + (f": {value}" if expected else "")
            hops.setdefault(hop.name, (hop, description))
    return hops


def find_limits(times: dict[LimitOn, float], hops: Iterable[Hop] = HOPS) -> list[tuple[Hop, Limit]]:
    """Return the limits that may have cut an answer after these seconds, each with its hop."""
    return [
        (hop, limit)
        for hop in hops
        for limit in hop.limits
        if limit.on in times and limit.fits(times[limit.on])
    ]
