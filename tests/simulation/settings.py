"""The settings of a simulated waiting room, drawn from a seed and changed by its operators.

Law: they are the product's own settings, read and checked by the product.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.simulation.virtual import T0_MS
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings

POOL = "hall"


@dataclass(frozen=True, slots=True)
class House:
    """What operators can change."""

    slots: tuple[int, ...]
    rate: str | None
    idle_s: int
    grace_s: int
    opens_s: float
    closes_s: float

    @property
    def backends(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(f"b{number}" for number, _ in enumerate(self.slots, 1))

    def settings(self) -> Settings:
        """As the product reads them. MATH opens and closes, LAW is always open."""
        pool: dict[str, Any] = {
            "backends": {
                name: {"url": f"http://{name}", "max_sessions": slots}
                for name, slots in zip(self.backends, self.slots, strict=True)
            },
            "session": {"idle_timeout": f"{self.idle_s}s", "max_duration": "2h"},
            "absence_grace": f"{self.grace_s}s",
        }
        if self.rate:
            pool["admission"] = {"rate": self.rate, "burst": 3}
        math = {
            "pool": POOL,
            "match": [{"path": "/quiz/MATH"}],
            "opens": _at(self.opens_s),
            "closes": _at(self.closes_s),
        }
        return from_mapping(
            {
                "store": {"url": "unix:///virtual"},
                "pools": {POOL: pool},
                "exams": {"MATH": math, "LAW": {"pool": POOL, "match": [{"path": "/quiz/LAW"}]}},
                "release": [{"path": "/logout"}],
            }
        )


def drawn(chance: Random, end_s: float) -> House:
    """One waiting room."""
    return House(
        slots=tuple(chance.randint(4, 14) for _ in range(chance.choice([1, 2, 2]))),
        rate=chance.choice([None, None, "1/s", "3/s"]),
        idle_s=chance.choice([120, 180]),
        grace_s=chance.choice([120, 600]),
        opens_s=chance.uniform(20.0, 120.0),
        closes_s=chance.uniform(0.6, 1.0) * end_s,
    )


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(T0_MS // 1000 + round(seconds), UTC).isoformat()
