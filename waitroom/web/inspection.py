"""What `load` asks about the look of settings that are otherwise whole.

Law: a file without a template of its own is judged without Jinja, so that `waitroom check` stays quick.
"""

from importlib import import_module

from waitroom.settings.model import Settings
from waitroom.web.look import look_faults
from waitroom.web.owntexts import Faults


def inspect(settings: Settings) -> Faults:
    """Everything that is wrong with the operator's words and look."""
    faults = look_faults(settings)
    if faults or settings.pages.template is None:
        return faults
    judged: Faults = import_module("waitroom.web.owntemplate").template_faults(settings)
    return judged
