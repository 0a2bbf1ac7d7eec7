"""Compression of pages that begin alike and end differently: the beginning is packed once, an end costs a copy.

Law: every format here lets packed bytes be followed by plain ones, so a visitor's own part is carried as it is. That is
also why nothing about a visitor can be guessed from the length of a page (BREACH): nothing of theirs is compressed.
"""

import zlib
from functools import lru_cache
from typing import Protocol

import brotli

BROTLI_QUALITY = 9
"""3 ms a page of 30 kB; 11 would save another 8 % and take 40 ms."""

GZIP_LEVEL = 9

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
"""RFC 1952 section 2.3: deflate, no name, no time, best compression, unknown system."""

_STORED_BYTES = 0xFFFF
"""What one stored block of deflate holds (RFC 1951 section 3.2.4)."""

_BROTLI_END = b"\x03"
"""ISLAST and ISLASTEMPTY (RFC 7932 section 9.2)."""

_BROTLI_BYTES = 1 << 24

REMEMBERED = 4_096
"""Lengths of visitors' parts: all between 500 and 2,000 bytes but for kept forms."""


class Packed(Protocol):
    """The packed beginning of a body."""

    def followed_by(self, end: bytes) -> bytes:
        """The whole body, packed: the beginning, and `end`."""


class Plain:
    """Not packed at all."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning

    def followed_by(self, end: bytes) -> bytes:
        """Both, one behind the other."""
        return self._beginning + end


class Gzip:
    """RFC 1952: a deflated beginning, stored blocks, and the checksum of both."""

    def __init__(self, beginning: bytes) -> None:
        squeezer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1)
        self._packed = _GZIP_HEAD + squeezer.compress(beginning) + squeezer.flush(zlib.Z_FULL_FLUSH)
        self._sum = zlib.crc32(beginning)
        self._length = len(beginning)

    def followed_by(self, end: bytes) -> bytes:
        """Both as one member."""
        parts = [self._packed]
        for at in range(0, len(end) or 1, _STORED_BYTES):
            block = end[at : at + _STORED_BYTES]
            last, length = at + _STORED_BYTES >= len(end), len(block)
            parts += (b"%c" % last, length.to_bytes(2, "little"), (length ^ 0xFFFF).to_bytes(2, "little"), block)
        parts.append(zlib.crc32(end, self._sum).to_bytes(4, "little"))
        parts.append((self._length + len(end) & 0xFFFFFFFF).to_bytes(4, "little"))
        return b"".join(parts)


class Brotli:
    """RFC 7932: a compressed beginning, an uncompressed meta-block, and an empty last one."""

    def __init__(self, beginning: bytes) -> None:
        squeezer = brotli.Compressor(mode=brotli.MODE_TEXT, quality=BROTLI_QUALITY)
        self._packed: bytes = squeezer.process(beginning) + squeezer.flush()

    def followed_by(self, end: bytes) -> bytes:
        """Both as one stream."""
        if not end:
            return self._packed + _BROTLI_END
        return b"".join((self._packed, _uncompressed(len(end)), end, _BROTLI_END))


@lru_cache(maxsize=REMEMBERED)
def _uncompressed(length: int) -> bytes:
    """The header of an uncompressed meta-block (RFC 7932 section 9.2).

    From its first bit: ISLAST 0, MNIBBLES - 4 in two bits, MLEN - 1 in as many nibbles, ISUNCOMPRESSED 1, and nothing
    up to the next byte.
    """
    assert 0 < length <= _BROTLI_BYTES
    nibbles = max(4, ((length - 1).bit_length() + 3) // 4)
    header = (nibbles - 4) << 1 | (length - 1) << 3 | 1 << 3 + 4 * nibbles
    return header.to_bytes(-(-(4 + 4 * nibbles) // 8), "little")


PACKINGS: dict[str, type[Plain] | type[Gzip] | type[Brotli]] = {"br": Brotli, "gzip": Gzip, "": Plain}
"""By their names as content codings (RFC 9110 section 8.4.1), the best first."""
