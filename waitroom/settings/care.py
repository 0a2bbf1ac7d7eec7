"""How backends are looked after (adaptive rate, health, recovery), and two small parts: TLS and tokens.

Law: a part states each key once, with its bounds, its default and what it is for.
"""

from typing import Annotated

from pydantic import Field

from waitroom.settings.part import Part
from waitroom.settings.spelling import FilePath, Name, duration, named, one_of, rate, whole

URL_PATH = r"/[!-~]{0,499}"
SHA256_FORMS = "64 lower-case hex digits, as printf %s TOKEN | sha256sum prints them"


class Tls(Part):
    """Certificate and key of a public listener."""

    cert: FilePath = Field(description="Certificate chain, PEM.")
    key: FilePath = Field(description="Private key of the certificate, PEM.")


class Adaptive(Part):
    """The admission rate moves between `min_rate` and the pool's `rate` with the backends' health."""

    target_p95_ms: Annotated[int, duration("10ms", "1m")] = Field(
        alias="target_p95", description="Answer time (95th percentile) above which the rate goes down."
    )
    min_rate_milli: Annotated[int, rate()] = Field(
        default=1_000, alias="min_rate", description="The rate never goes below this."
    )


class Health(Part):
    """Active check of each backend."""

    path: Annotated[str, named(URL_PATH, "a path such as /login/index.php")] = Field(
        description="Path asked for with GET; an answer below 400 is healthy."
    )
    interval_ms: Annotated[int, duration("100ms", "10m")] = Field(
        default=2_000, alias="interval", description="Time from one check to the next."
    )
    timeout_ms: Annotated[int, duration("100ms", "1m")] = Field(
        default=2_000, alias="timeout", description="A check without an answer after this has failed."
    )
    fall: Annotated[int, whole(1, 100)] = Field(default=3, description="Failed checks in a row that take it out.")
    rise: Annotated[int, whole(1, 100)] = Field(default=2, description="Good checks in a row that bring it back.")


class Recovery(Part):
    """The ramp on which sessions come back after an outage."""

    initial_rate_milli: Annotated[int, rate()] = Field(
        default=2_000, alias="initial_rate", description="Where the ramp starts."
    )


class Token(Part):
    """A bearer token of the admin listener, by its hash."""

    name: Name = Field(description="Whose token it is; stands in the audit.")
    sha256: Annotated[str, named(r"[0-9a-f]{64}", SHA256_FORMS, private=True)] = Field(
        description="SHA-256 of the token, in hex."
    )
    scopes: tuple[Annotated[str, one_of("read", "operate")], ...] = Field(
        default=("read",), min_length=1, description="What the token allows."
    )
