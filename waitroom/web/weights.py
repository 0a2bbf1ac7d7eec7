"""Lists of alternatives with weights, as Accept-Language and Accept-Encoding have them (RFC 9110 section 12.4.2).

Law: nonsense weighs nothing and never raises.
"""


def weighted(header: bytes) -> list[tuple[str, float]]:
    """Each alternative in lower case with its weight, 0 to 1, in the order of the list."""
    found = []
    for part in header.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip():
            found.append((name.strip(), _weight(parameters)))
    return found


def _weight(parameters: str) -> float:
    """The `q`: 1 where there is none, 0 where it makes no sense."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            digits = value.strip()
            plain = digits.replace(".", "", 1)
            return min(1.0, float(digits)) if plain.isascii() and plain.isdigit() else 0.0
    return 1.0
