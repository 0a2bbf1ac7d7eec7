"""One picture of the morning of Liège, without and with the waiting room, for somebody who has ten seconds.

Law: both halves have the same students, the same server, the same scale and the same colours; every number in a text is
counted from the morning that is drawn.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from tests.simulation.liege import MORNING_S, STUDENTS, Sees, Story, Student, both

RED, BLUE, GREEN, INK, MUTED, PAPER = "#d64541", "#7fb2e5", "#2e8b57", "#1f2933", "#66727f", "#ffffff"
AGAIN_S = 60


@dataclass(frozen=True, slots=True)
class Words:
    """All texts of one language."""

    title: str
    under: str
    without: str
    with_: str
    nothing: str
    line: str
    exam: str
    dies: str
    again: str
    everyone: str
    place: str
    never: str
    students: str
    source: str
    thousand: str


ENGLISH = Words(
    title="One exam server, 1,400 students, nine o'clock",
    under="Liège, 18 May 2020, simulated twice: the same students, the same clicks, the same server.",
    without="Without a waiting room",
    with_="With the waiting room",
    nothing="An error page, or nothing at all",
    line="On the waiting\npage, with a place\nand a time",
    exam="In their exam",
    dies="The server dies after {first} s,",
    again="and again within {again} s of each restart: everybody presses reload",
    everyone="{clock}: everyone is in",
    place="Place {place}: told {low} to {high} min,\nin the exam after {wait} min",
    never="{hits:,} failed page loads. Nobody writes.",
    students="students",
    source="Drawn by a command from the simulation in this repository: the real waiting line, "
    "a model of the server with its cores, memory and queue.",
    thousand=",",
)

FRENCH = Words(
    title="Un serveur d’examen, 1 400 étudiants, neuf heures",
    under="Liège, 18 mai 2020, simulé deux fois : mêmes étudiants, mêmes clics, même serveur.",
    without="Sans salle d’attente",
    with_="Avec la salle d’attente",
    nothing="Une page d’erreur, ou rien du tout",
    line="Sur la page\nd’attente, avec\nrang et délai",
    exam="Dans leur examen",
    dies="Le serveur tombe après {first} s,",
    again="puis moins de {again} s après chaque redémarrage : tout le monde recharge",
    everyone="{clock} : tout le monde est entré",
    place="Rang {place} : annoncé {low} à {high} min,\ndans l’examen après {wait} min",
    never="{hits:,} pages demandées en vain. Personne ne compose.",
    students="étudiants",
    source="Image tirée par une commande de la simulation de ce dépôt : la vraie file d’attente, "
    "un modèle du serveur avec ses cœurs, sa mémoire et sa file.",
    thousand="\N{NARROW NO-BREAK SPACE}",
)


def draw(folder: Path) -> list[Path]:
    """Both languages."""
    without, with_ = both()
    return [
        _picture(without, with_, words, folder / f"liege-{name}.png")
        for name, words in (("en", ENGLISH), ("fr", FRENCH))
    ]


def _picture(without: Story, with_: Story, words: Words, path: Path) -> Path:
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.color": INK}):
        figure, (above, below) = plt.subplots(2, 1, figsize=(13, 8.6), sharex=True, facecolor=PAPER)
        figure.subplots_adjust(left=0.07, right=0.975, top=0.775, bottom=0.10, hspace=0.46)
        figure.text(0.07, 0.955, words.title, fontsize=25, weight="bold", va="top")
        figure.text(0.07, 0.895, words.under, fontsize=13.5, color=MUTED, va="top")
        figure.text(0.07, 0.022, words.source, fontsize=9.5, color=MUTED)
        for axes, story, heading in ((above, without, words.without), (below, with_, words.with_)):
            _areas(axes, story)
            axes.set_title(heading, loc="left", fontsize=17, weight="bold", pad=34)
            axes.set_ylabel(words.students, color=MUTED, fontsize=11)
        _tell_above(above, without, words)
        _tell_below(below, with_, words)
        figure.savefig(path, dpi=150)
        plt.close(figure)
    return path


def _areas(axes: Axes, story: Story) -> None:
    minutes = [at_s / 60 for at_s in range(len(story.seen))]
    heights = [[seen[what] for seen in story.seen] for what in (Sees.EXAM, Sees.LINE, Sees.NOTHING)]
    axes.stackplot(minutes, heights, colors=(GREEN, BLUE, RED), linewidth=0)
    axes.set_xlim(0, MORNING_S / 60)
    axes.set_ylim(0, STUDENTS)
    axes.set_xticks(
        range(0, MORNING_S // 60 + 1, 5), [f"9:{minute:02d}" for minute in range(0, MORNING_S // 60 + 1, 5)]
    )
    axes.set_yticks([STUDENTS], ["1400"])
    axes.tick_params(colors=MUTED, labelsize=11, length=0, labelbottom=True)
    for side in axes.spines.values():
        side.set_visible(False)


def _tell_above(axes: Axes, story: Story, words: Words) -> None:
    middle = MORNING_S / 120
    axes.text(middle, 760, words.nothing, color="white", fontsize=22, weight="bold", ha="center", va="center")
    hits = _spaced(f"{story.errors:,}", words)
    never = words.never.replace("{hits:,}", hits)
    axes.text(middle, 480, never, color="white", fontsize=14, ha="center", va="center")
    for death_s in story.deaths_s:
        axes.plot([death_s / 60] * 2, [STUDENTS, STUDENTS * 1.045], color=INK, linewidth=2.2, clip_on=False)
    lives_s = [death_s - back_s for back_s, death_s in zip(story.backs_s, story.deaths_s[1:], strict=False)]
    first = words.dies.format(first=round(story.deaths_s[0]))
    again = words.again.format(again=int(max(lives_s)) + 1)
    axes.text(story.deaths_s[0] / 60, STUDENTS * 1.065, f"{first} {again}", fontsize=12, va="bottom", ha="left")


def _tell_below(axes: Axes, story: Story, words: Words) -> None:
    everyone_s = story.everyone_s
    assert everyone_s is not None
    axes.text(27, STUDENTS / 2, words.exam, color="white", fontsize=22, weight="bold", ha="center", va="center")
    halo = [withStroke(linewidth=3, foreground=BLUE)]
    axes.text(0.75, STUDENTS * 0.94, words.line, fontsize=12.5, weight="bold", va="top", path_effects=halo)
    clock = f"9:{int(-(-everyone_s // 60)):02d}"
    axes.annotate(
        words.everyone.format(clock=clock),
        xy=(everyone_s / 60, STUDENTS),
        xytext=(everyone_s / 60, STUDENTS * 1.065),
        fontsize=12,
        va="bottom",
        ha="left",
    )
    axes.plot([everyone_s / 60] * 2, [STUDENTS, STUDENTS * 1.045], color=INK, linewidth=2.2, clip_on=False)
    one = _one_of_them(story)
    assert one.shown is not None
    assert one.in_ms is not None
    in_s, wait_s = one.in_ms / 1000, (one.in_ms - one.came_ms) / 1000
    height = story.seen[int(in_s)][Sees.EXAM]
    axes.plot([in_s / 60], [height], "o", color="white", markeredgecolor=INK, markersize=9, markeredgewidth=1.8)
    low, high = one.shown.low_s // 60, -(-one.shown.high_s // 60)
    text = words.place.format(place=one.place, low=low, high=high, wait=f"{wait_s / 60:.1f}".replace(
        ".", "," if words is FRENCH else "."))  # fmt: skip
    axes.annotate(
        text,
        xy=(in_s / 60, height),
        xytext=(in_s / 60 + 2.2, height - 330),
        fontsize=12,
        color="white",
        va="center",
        arrowprops={"arrowstyle": "-", "color": "white", "shrinkB": 6},
    )


def _one_of_them(story: Story) -> Student:
    """Somebody from the middle of the line who was shown a time when they came."""
    shown = [one for one in story.students if one.shown and one.in_ms]
    return min(shown, key=lambda one: abs(one.place - 700))


def _spaced(number: str, words: Words) -> str:
    return number.replace(",", words.thousand)
