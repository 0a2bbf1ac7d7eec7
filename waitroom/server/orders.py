"""What a worker works by: settings, keys, and the places of its counters, as they cross from the supervisor.

Law: both ends use this file only, so what one writes the other reads.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass

from waitroom.metrics.layout import Labels, Layout
from waitroom.server.channel import Message
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets


@dataclass(frozen=True, slots=True)
class Orders:
    """All of it. `taken_ms`: when the settings were read, which tells newer from older on all machines; `human`: events
    are for a terminal.
    """

    settings: Settings
    secrets: Secrets
    layout: Layout
    taken_ms: int = 0
    human: bool = False


def write_orders(orders: Orders) -> Message:
    """The orders as fields of a message."""
    return {
        "settings": orders.settings.to_json(),
        "secrets": [[key.id, b64encode(key.key).decode()] for key in orders.secrets.keys],
        "layout": orders.layout.keys,
        "taken_ms": orders.taken_ms,
        "human": orders.human,
    }


def read_orders(message: Message) -> Orders:
    """The orders that `write_orders` wrote."""
    return Orders(
        settings=Settings.from_json(message["settings"]),
        secrets=Secrets(tuple(Key(key_id, b64decode(key)) for key_id, key in message["secrets"])),
        layout=Layout(tuple(tuple(key) for key in message["layout"])),
        taken_ms=message["taken_ms"],
        human=message["human"],
    )


def labels_of(settings: Settings) -> Labels:
    """The label values that the settings allow."""
    pools = {name: tuple(pool.backends) for name, pool in settings.pools.items()}
    return Labels(pools, tuple(pace.name for pace in settings.pace))
