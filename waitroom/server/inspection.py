"""What `load` asks about settings that are otherwise whole: of the floors that use them, each knows what it cannot use.

Law: what is not used is not imported, so that `waitroom check` stays quick.
"""

from importlib import import_module
from importlib.util import find_spec

from waitroom import clock
from waitroom.server.keyfiles import file_findings
from waitroom.settings.advice import advice
from waitroom.settings.identity import KEY
from waitroom.settings.model import Settings
from waitroom.settings.problems import Finding
from waitroom.web.inspection import inspect as inspect_look
from waitroom.web.owntexts import Faults


def inspect(settings: Settings) -> Faults:
    """Everything that is wrong with what the settings enclose, and what is probably not meant."""
    return [
        *inspect_look(settings),
        *_token_faults(settings),
        *file_findings(settings, clock.now_ms()),
        *advice(settings, clock.now_ms()),
    ]


def _token_faults(settings: Settings) -> list[Finding]:
    """Whether tokens can be read here, and by this key."""
    how = settings.identity.jwt if settings.identity else None
    if how is None:
        return []
    if find_spec("jwt") is None or find_spec("cryptography") is None:
        return [Finding(("identity", "jwt"), "cannot be read here", "pip install 'waitroom[jwt]', then the same")]
    tokens = import_module("waitroom.gate.tokens")
    try:
        tokens.verifier(settings.enclosed[KEY].encode("latin-1"), how.algorithm, how.claim, how.audience)
    except tokens.BadKeyError as error:
        wrong, _, allowed = str(error).partition("; allowed: ")
        return [
            Finding(
                ("identity", "jwt", "key_file"), f"{how.key_file}: {wrong}", allowed or f"a key for {how.algorithm}"
            )
        ]
    return []
