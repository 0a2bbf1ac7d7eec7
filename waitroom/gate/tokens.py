"""Signed tokens (JWT, RFC 7519) that say who a student is. Loaded only where the settings ask for them.

Law: one algorithm is accepted, the one that was configured (RFC 8725 section 3.1). A token without a good signature,
too old, not valid yet or for somebody else says nothing.
"""

from typing import Any

import jwt

from waitroom.gate.identity import Verify

LEEWAY_S = 30
"""Clocks of two machines."""

MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: as long as the hash."""

MIN_RSA_BITS = 2_048
"""RFC 7518 section 3.3."""


class BadKeyError(ValueError):
    """The key cannot verify tokens of the algorithm."""


def verifier(key: bytes, algorithm: str, claim: str, audience: str | None = None) -> Verify:
    """What reads tokens of this key. Raises BadKeyError."""
    prepared = _prepared(key, algorithm)

    def verify(token: bytes) -> tuple[bytes, int] | None:
        try:
            said: dict[str, Any] = jwt.decode(
                token,
                prepared,
                algorithms=[algorithm],
                audience=audience,
                leeway=LEEWAY_S,
                options={"verify_aud": audience is not None},
            )
            name, until_s = said.get(claim), int(said.get("exp", 0))
            if isinstance(name, bool) or not isinstance(name, str | int):
                return None
            return str(name).encode(), until_s + LEEWAY_S if until_s else 0
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):  # what a stranger can make of a token
            return None

    return verify


def _prepared(key: bytes, algorithm: str) -> Any:  # noqa: ANN401 - the library's own key types
    if algorithm.startswith("HS"):
        key = key.strip()
        if len(key) < MIN_SECRET_BYTES:
            raise BadKeyError(f"has {len(key)} bytes; allowed: {MIN_SECRET_BYTES} bytes or more for {algorithm}")
    try:
        prepared = jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError) as error:
        raise BadKeyError(f"is no key for {algorithm}") from error
    if hasattr(prepared, "public_key"):
        raise BadKeyError("is a private key; allowed: the public key that belongs to it")
    if algorithm.startswith("RS") and prepared.key_size < MIN_RSA_BITS:
        raise BadKeyError(f"has {prepared.key_size} bits; allowed: {MIN_RSA_BITS} or more for {algorithm}")
    if algorithm == "ES256" and prepared.curve.name != "secp256r1":
        raise BadKeyError(f"is a key on {prepared.curve.name}; allowed: one on P-256 for {algorithm}")
    return prepared
