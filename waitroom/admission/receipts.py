"""The record of the wait: what a student can show afterwards, in one signed line that survives paper and mail.

Law: a receipt says no more than its ticket knows, and opens nothing: it names the code and not the visitor, and is
signed under a key of its own. What does not verify proves nothing. The line reads `WR1.<key id>.<facts>.<mac>`; the
facts are

    pool~exam~code~state~arrival_us~issued_ms~admitted_ms~first~last[~drawn]

in Crockford's base 32, so that capitals, O for 0, I or L for 1, line breaks and quotation marks of a mail do no harm.
"""

import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

MAC_BYTES = 20
"""160 of HMAC-SHA256's bits (RFC 2104 section 5): 32 characters that nobody forges, and that can still be typed."""

MAX_TEXT = 16_384
"""Characters that are searched for a receipt: a saved file or a mail with what was quoted in it."""

MAX_FACTS_BYTES = 256
"""Pool and exam names have 96 characters at most, everything else about 70."""

_RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SPELL = str.maketrans(_RFC_4648, _CROCKFORD)
_UNSPELL = str.maketrans(_CROCKFORD, _RFC_4648)
_FOLD = str.maketrans("OIL", "011")

_LINE_QUOTES = re.compile(r"^[ \t]*(?:[>|][ \t]*)+", re.MULTILINE)
_SPACES = re.compile(r"[\s\u00ad\u200b\ufeff]+")
_RECEIPT = re.compile(
    r"WR[1IL]\.(?P<key>[A-Z0-9]{1,8})\.(?P<facts>[A-Z0-9]{16,410})\.(?P<mac>[A-Z0-9]{32})", re.ASCII | re.IGNORECASE
)
_FACTS = re.compile(
    r"([a-z0-9_-]{1,32})~([A-Za-z0-9_.-]{0,64})~([0-9A-Z]{4}-[0-9A-Z]{4})~(admitted|waiting|lobby|returning)"
    r"~(\d{1,16})~(\d{1,14})~(\d{1,14})~(\d{1,9})~(\d{1,9})(?:~([1-9]\d{0,6}))?",
    re.ASCII,
)


class Wait(StrEnum):
    """How far somebody has come when their receipt is issued."""

    ADMITTED = "admitted"
    WAITING = "waiting"
    LOBBY = "lobby"
    RETURNING = "returning"
    """Was in before, and waits to go back in."""


class Receipt(NamedTuple):
    """What is certified. `first` and `last` are positions on arrival and at issue, counted from 1; 0: not known.

    `drawn` is the number that the ticket drew at an opening (draw.py); 0: none, or not yet.
    """

    pool: str
    exam: str
    code: str
    state: Wait
    arrival_us: int
    issued_ms: int
    admitted_ms: int = 0
    first: int = 0
    last: int = 0
    drawn: int = 0

    @property
    def wait_s(self) -> int:
        """How long the wait took, or has taken by now, in whole seconds."""
        until_ms = self.admitted_ms or self.issued_ms
        return max(0, until_ms - self.arrival_us // 1000) // 1000


class Doubt(StrEnum):
    """Why a text is no genuine receipt."""

    NONE_THERE = "none-there"
    UNKNOWN_KEY = "unknown-key"
    FALSE = "false"


class Notary:
    """Signs receipts and looks at them. The first key signs, all verify, as with tickets."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        assert keys
        self._keys = tuple(keys)

    def sign(self, receipt: Receipt) -> str:
        """The line that certifies `receipt`."""
        key_id, key = self._keys[0]
        facts = "~".join(map(str, receipt if receipt.drawn else receipt[:-1]))
        spelled = _spelled(facts.encode())
        return f"WR1.{key_id.upper()}.{spelled}.{_mac(key, receipt.pool, key_id, spelled)}"

    def look(self, text: str) -> Receipt | Doubt:
        """The receipt in a text, if we signed it: alone, or in a saved file or a mail."""
        bare = _SPACES.sub("", _LINE_QUOTES.sub("", text[:MAX_TEXT]))
        doubt = Doubt.NONE_THERE
        for match in _RECEIPT.finditer(bare):
            found = self._verify(match["key"], match["facts"], match["mac"])
            if isinstance(found, Receipt):
                return found
            doubt = found
        return doubt

    def _verify(self, key_id: str, facts: str, mac: str) -> Receipt | Doubt:
        spelled, mac = _folded(facts), _folded(mac)
        candidates = [(known, key) for known, key in self._keys if _folded(known) == _folded(key_id)]
        receipt = _receipt(spelled)
        for known, key in candidates:
            if receipt is not None and hmac.compare_digest(_mac(key, receipt.pool, known, spelled), mac):
                return receipt
        return Doubt.FALSE if candidates else Doubt.UNKNOWN_KEY


def _mac(key: bytes, pool: str, key_id: str, spelled: str) -> str:
    """Another key than the cookies' (tickets.py): what one signs is noise to the other."""
    own = hmac.digest(key, b"waitroom receipt " + pool.encode(), hashlib.sha256)
    return _spelled(hmac.digest(own, f"WR1.{key_id}.{spelled}".encode(), "sha256")[:MAC_BYTES])


def _folded(text: str) -> str:
    return text.upper().translate(_FOLD)


def _spelled(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").translate(_SPELL)


def _receipt(spelled: str) -> Receipt | None:
    """What such facts say; not believed yet."""
    text = spelled.translate(_UNSPELL)
    try:
        match = _FACTS.fullmatch(b32decode(text + "=" * (-len(text) % 8)).decode("ascii"))
    except (Base32Error, ValueError):
        return None
    if match is None:
        return None
    pool, exam, code, state, *numbers = match.groups()
    return Receipt(pool, exam, code, Wait(state), *(int(number or 0) for number in numbers))
