"""Which requests go first: from the head alone, as browsers of today and of yesterday write it."""

import pytest

from tests.support.requests import Asked
from waitroom.proxy.urgency import Urgency, urgency_of


def _fetch(mode: str, dest: str) -> list[tuple[bytes, bytes]]:
    return [(b"Sec-Fetch-Mode", mode.encode()), (b"Sec-Fetch-Dest", dest.encode())]


HTML = [(b"Accept", b"text/html,*/*;q=0.8")]
XHR = [(b"X-Requested-With", b"XMLHttpRequest")]


@pytest.mark.parametrize(
    ("promise", "request_", "urgency"),
    [
        ("an answer sent as a form", Asked(b"POST", headers=_fetch("navigate", "document")), Urgency.SAVE),
        ("an autosave", Asked(b"POST", headers=[*XHR, *_fetch("cors", "empty")]), Urgency.SAVE),
        ("an upload", Asked(b"PUT", headers=_fetch("cors", "empty")), Urgency.SAVE),
        ("a method that nobody knows", Asked(b"FROB"), Urgency.SAVE),
        ("a preflight", Asked(b"OPTIONS", headers=_fetch("cors", "empty")), Urgency.PROGRAM),
        ("fetch()", Asked(headers=_fetch("cors", "empty")), Urgency.PROGRAM),
        ("XHR of an old browser", Asked(headers=[*XHR, *HTML]), Urgency.PROGRAM),
        ("no header at all", Asked(target=b"/lib/ajax/service.php"), Urgency.PROGRAM),
        ("a page", Asked(headers=_fetch("navigate", "document")), Urgency.PAGE),
        ("its HEAD", Asked(b"HEAD", headers=_fetch("navigate", "document")), Urgency.PAGE),
        ("a frame", Asked(headers=_fetch("navigate", "iframe")), Urgency.PAGE),
        ("a page of an old browser", Asked(target=b"/x.png", headers=HTML), Urgency.PAGE),
        ("an image", Asked(headers=_fetch("no-cors", "image")), Urgency.ASSET),
        ("a module", Asked(headers=_fetch("cors", "script")), Urgency.ASSET),
        ("an image of an old browser", Asked(target=b"/pix/a.PNG?rev=1"), Urgency.ASSET),
        ("a style sheet without Fetch Metadata", Asked(target=b"/theme/all.css"), Urgency.ASSET),
        ("a query that only looks like one", Asked(target=b"/a?x=b.css"), Urgency.PROGRAM),
    ],
)
def test_urgency(promise: str, request_: Asked, urgency: Urgency) -> None:
    """What may save something first, assets last."""
    assert urgency_of(request_) is urgency, promise


def test_a_websocket_is_a_programs() -> None:
    """A kernel's channel is small and waits for nobody's eyes."""
    asked = Asked(headers=_fetch("websocket", "websocket"), upgrade=b"websocket")
    assert urgency_of(asked) is Urgency.PROGRAM
