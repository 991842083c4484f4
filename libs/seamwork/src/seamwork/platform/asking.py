"""Ask for a page of a service; one that runs on this machine directly, whatever proxy the environment names."""

import ipaddress
import urllib.request
from http.client import HTTPResponse
from urllib.parse import urlsplit

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy asks its own 127.0.0.1; and it is asked for ours, unless ``no_proxy`` says otherwise."""


def opened(url: str, within_s: float) -> HTTPResponse:
    """
    Open the page at *url*, an ``http`` or ``https`` address; to be closed by the caller.

    Raises:
        HTTPError: The answer is an error; its body can be read from it.
        OSError: Nobody answered within *within_s* seconds of silence.
        HTTPException: What answered does not speak HTTP.
    """
    open_url = _direct.open if _is_here(urlsplit(url).hostname or "") else urllib.request.urlopen
    answer: HTTPResponse = open_url(url, timeout=within_s)  # our callers' own addresses, or an operator's
    return answer


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
