"""Pictures of simulated mornings: `python -m tests.simulation.plots NAME [--out FOLDER]`."""

import argparse
from importlib import import_module
from pathlib import Path

PICTURES = {"liege": "tests.simulation.plot_liege", "control": "tests.simulation.plot_control"}
"""By name: the module whose `draw(folder)` makes them and gives their files."""


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PICTURES), help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("out/plots"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.names:
        if name not in PICTURES:
            parser.error(f"{name} is none of {', '.join(PICTURES)}")
        for path in import_module(PICTURES[name]).draw(asked.out):
            print(path)


if __name__ == "__main__":
    main()
