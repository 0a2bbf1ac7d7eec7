"""Which content coding a visitor's page is sent in.

Law: a pure function of Accept-Encoding (RFC 9110 section 12.5.3). Of what is accepted at all the smallest is taken,
whatever the weights: browsers give none. Not packed is always possible, also where a client forbids it
(`identity;q=0`): a page is better than a 406.
"""

from functools import lru_cache

from waitroom.web.packing import PACKINGS
from waitroom.web.weights import weighted

MAX_HEADER_BYTES = 256

REMEMBERED = 256
"""Distinct headers whose answer is kept; browsers send five or six."""


def choose_encoding(accept_encoding: bytes | None) -> str:
    """`br`, `gzip` or "" for a visitor who sent this header."""
    return "" if accept_encoding is None else _choose(accept_encoding[:MAX_HEADER_BYTES])


@lru_cache(maxsize=REMEMBERED)
def _choose(header: bytes) -> str:
    weights = {"gzip" if name == "x-gzip" else name: weight for name, weight in weighted(header)}
    others = weights.get("*", 0.0)
    return next((coding for coding in PACKINGS if coding and weights.get(coding, others) > 0), "")
