"""What is packed in two parts is, to a client, one body."""

import gzip
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.web.encodings import choose_encoding
from waitroom.web.packing import PACKINGS

UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}
EDGES = (0, 1, 15, 16, 255, 256, 65_534, 65_535, 65_536, 65_537, 131_070, 131_071, 1_048_576, 1_048_577, 3_000_000)


@given(st.binary(max_size=2_000), st.binary(max_size=2_000), st.sampled_from(sorted(PACKINGS)))
def test_beginning_and_end_come_back(beginning: bytes, end: bytes, coding: str) -> None:
    """Any two parts, in any coding."""
    assert UNPACK[coding](PACKINGS[coding](beginning).followed_by(end)) == beginning + end


@pytest.mark.parametrize("length", EDGES)
@pytest.mark.parametrize("coding", sorted(PACKINGS))
def test_ends_of_any_length(coding: str, length: int) -> None:
    """Ends at and around the sizes at which a format needs another block or a longer number."""
    end = bytes(range(256)) * (length // 256) + bytes(length % 256)
    packed = PACKINGS[coding](b"<!doctype html>" * 1_000)
    assert UNPACK[coding](packed.followed_by(end)) == b"<!doctype html>" * 1_000 + end
    assert len(packed.followed_by(end)) <= len(packed.followed_by(b"")) + length + 5 * (length // 65_535 + 1)


def test_the_same_beginning_serves_again() -> None:
    """One visitor's end is not in the next one's body."""
    for coding, kind in PACKINGS.items():
        packed = kind(b"shared ")
        assert [UNPACK[coding](packed.followed_by(end)) for end in (b"one", b"two", b"")] == [
            b"shared one", b"shared two", b"shared ",
        ]  # fmt: skip


def test_a_decoder_that_reads_as_it_comes() -> None:
    """Browsers decode while they receive: every prefix gives a prefix, and the beginning is there before the end."""
    beginning, end = b"<h1>You are in line</h1>" * 50, b"<p>312</p>"
    body = PACKINGS["gzip"](beginning).followed_by(end)
    decoder, got = zlib.decompressobj(16 + zlib.MAX_WBITS), b""
    for at in range(len(body)):
        got += decoder.decompress(body[at : at + 1])
        if at == len(body) - len(end) - 8 - 6:
            assert got == beginning
    assert got == beginning + end
    assert decoder.eof


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, ""),
        (b"", ""),
        (b"gzip, deflate, br, zstd", "br"),
        (b"gzip, deflate", "gzip"),
        (b"GZIP;q=1.0", "gzip"),
        (b"x-gzip", "gzip"),
        (b"br;q=0, gzip;q=0.1", "gzip"),
        (b"br;q=0.1, gzip;q=1", "br"),
        (b"*", "br"),
        (b"*, br;q=0", "gzip"),
        (b"*;q=0", ""),
        (b"gzip;q=0, *;q=0.5", "br"),
        (b"identity", ""),
        (b"identity;q=0", ""),
        (b"deflate, zstd", ""),
        (b"br;q=nonsense", ""),
        (b"gzip;q=\xb2", ""),
        (b",;=,q=1,;;,gzip", "gzip"),
        (b"zstd," * 10_000 + b"gzip", ""),
    ],
)
def test_choice_of_a_coding(header: bytes | None, coding: str) -> None:
    """The best one that is accepted at all; nonsense is nothing accepted."""
    assert choose_encoding(header) == coding
