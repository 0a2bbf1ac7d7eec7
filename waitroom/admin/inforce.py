"""`/api/v1/settings`: the settings in force on this machine, defaults and all, to compare a file with.

Law: secrets are stars. Only who may operate reads it, since backends' addresses are in it.
"""

from typing import Any

from pydantic import Field

from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.shapes import Shown
from waitroom.admin.sight import Sight
from waitroom.settings.effective import masked, tree


class SettingsShown(Shown):
    """What is in force."""

    settings: dict[str, Any] = Field(description="In the spelling of the settings file; log-ins and hashes are ***.")


class SettingsApi:
    """The endpoint."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def endpoints(self) -> list[Endpoint]:
        """Where it is."""
        title = "The settings in force on this machine."
        return [Endpoint("GET", "/api/v1/settings", "operate", title, self._show, SettingsShown)]

    async def _show(self, _call: Call) -> SettingsShown:
        shown = masked((), tree(self._sight.settings))
        assert isinstance(shown, dict)
        return SettingsShown(settings=shown)
