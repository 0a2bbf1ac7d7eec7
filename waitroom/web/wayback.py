"""The way back from a choice that was made by a link: to the very page it was made on.

Law: it never leaves this host, whoever made the link.
"""

from urllib.parse import urlsplit


def leads_back(asked: str, referer: bytes | None, host: bytes | None) -> bytes | None:
    """The Location that leads back: the path asked for, else the page that the request came from, else the start.

    None for something asked for that is no path.
    """
    if asked:
        return _same_host(asked).encode("latin-1") if _is_path(asked) else None
    came_from = _path_here((referer or b"").decode("latin-1"), (host or b"").decode("latin-1"))
    return _same_host(came_from).encode("latin-1")


def _path_here(referer: str, host: str) -> str:
    """The path and query of a page of this host."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "/"
    path = referer.partition("://")[2][len(parts.netloc) :].partition("#")[0]
    return path if host and parts.netloc.lower() == host.lower() and _is_path(path) else "/"


def _is_path(text: str) -> bool:
    return text.startswith("/") and all("!" <= character <= "~" for character in text)


def _same_host(path: str) -> str:
    """`//host` and `/\\host` name another host to a browser; `/.//host` is the path that was meant (WHATWG URL)."""
    return f"/.{path}" if path[1:2] in ("/", "\\") else path
