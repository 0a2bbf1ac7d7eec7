"""Pages, forms, uploads and programs are told apart exactly as DESIGN.md section 4 says."""

import pytest

from tests.support.requests import Asked
from waitroom.gate.kinds import Kind, kind_of

CHROME_ACCEPT = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
NAVIGATE = (b"Sec-Fetch-Mode", b"navigate")
URLENCODED = (b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8")


@pytest.mark.parametrize(
    ("promise", "request_", "kind"),
    [
        ("a browser's page load", Asked(headers=[NAVIGATE]), Kind.PAGE),
        ("its HEAD", Asked(b"HEAD", headers=[NAVIGATE]), Kind.PAGE),
        ("an old browser's page load", Asked(headers=[(b"Accept", CHROME_ACCEPT)]), Kind.PAGE),
        ("an Accept in upper case", Asked(headers=[(b"ACCEPT", b"Text/HTML")]), Kind.PAGE),
        ("an Accept in two headers", Asked(headers=[(b"Accept", b"image/png"), (b"Accept", b"text/html")]), Kind.PAGE),
        (
            "an Android web view names its package",
            Asked(headers=[NAVIGATE, (b"X-Requested-With", b"org.sebmobile")]),
            Kind.PAGE,
        ),
        ("curl", Asked(headers=[(b"Accept", b"*/*")]), Kind.PROGRAM),
        ("no header at all", Asked(), Kind.PROGRAM),
        ("html refused", Asked(headers=[(b"Accept", b"text/html;q=0, */*")]), Kind.PROGRAM),
        ("html refused at length", Asked(headers=[(b"Accept", b"text/html ; q=0.000")]), Kind.PROGRAM),
        ("html at low weight", Asked(headers=[(b"Accept", b"text/html;q=0.01")]), Kind.PAGE),
        ("html in another word", Asked(headers=[(b"Accept", b"text/html-sandboxed")]), Kind.PROGRAM),
        (
            "fetch() that accepts html",
            Asked(headers=[(b"Sec-Fetch-Mode", b"cors"), (b"Accept", b"text/html")]),
            Kind.PROGRAM,
        ),
        (
            "an image of a modern browser",
            Asked(headers=[(b"Sec-Fetch-Mode", b"no-cors"), (b"Sec-Fetch-Dest", b"image")]),
            Kind.PROGRAM,
        ),
        (
            "fetch metadata without a mode",
            Asked(headers=[(b"Sec-Fetch-Site", b"same-origin"), (b"Accept", b"text/html")]),
            Kind.PROGRAM,
        ),
        (
            "jQuery asking for html",
            Asked(headers=[(b"Accept", b"text/html"), (b"X-Requested-With", b"XMLHttpRequest")]),
            Kind.PROGRAM,
        ),
        ("a WebSocket", Asked(headers=[(b"Accept", b"text/html")], upgrade=b"websocket"), Kind.PROGRAM),
        ("a form", Asked(b"POST", headers=[NAVIGATE, URLENCODED]), Kind.FORM),
        ("an old browser's form", Asked(b"POST", headers=[(b"Accept", CHROME_ACCEPT), URLENCODED]), Kind.FORM),
        (
            "a form with files",
            Asked(b"POST", headers=[NAVIGATE, (b"Content-Type", b"multipart/form-data; boundary=x")]),
            Kind.UPLOAD,
        ),
        ("a form without a type", Asked(b"POST", headers=[NAVIGATE]), Kind.UPLOAD),
        (
            "an old browser's form with files",
            Asked(b"POST", headers=[(b"Accept", CHROME_ACCEPT), (b"Content-Type", b"multipart/form-data; boundary=x")]),
            Kind.UPLOAD,
        ),
        (
            "a program that accepts html and sends json",
            Asked(b"POST", headers=[(b"Accept", b"text/html, */*"), (b"Content-Type", b"application/json")]),
            Kind.PROGRAM,
        ),
        ("an autosave", Asked(b"POST", headers=[(b"Sec-Fetch-Mode", b"cors"), URLENCODED]), Kind.PROGRAM),
        ("a script's form", Asked(b"POST", headers=[(b"Accept", b"*/*"), URLENCODED]), Kind.PROGRAM),
        ("a deletion", Asked(b"DELETE", headers=[NAVIGATE]), Kind.PROGRAM),
        ("OPTIONS", Asked(b"OPTIONS", headers=[(b"Accept", b"text/html")]), Kind.PROGRAM),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_kinds(promise: str, request_: Asked, kind: Kind) -> None:
    """Each row is one promise."""
    assert kind_of(request_) is kind, promise
