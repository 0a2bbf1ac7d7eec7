"""The reference of settings: as committed it is what the model makes, and every key says what may be written."""

from tests.docs.reference import ROOT, SAMPLE, TARGET, allowed, keys, parts_in, reference, samples, sections
from waitroom.settings.model import Settings


def test_the_committed_page_is_what_the_model_makes() -> None:
    """A new key, default or bound comes with `make docs`."""
    assert TARGET.read_text("utf-8") == reference(), f"{TARGET.relative_to(ROOT)}: run `make docs` and commit it"


def test_every_key_says_what_it_is_for_and_what_is_allowed() -> None:
    """No empty cell: a description, and bounds or the part below."""
    for section in sections():
        for key, info in keys(section.part):
            place = f"{section.places[0]}.{key}"
            assert info.description, f"{place}: give it a description"
            assert list(parts_in(info.annotation)) or all(allowed(info)), f"{place}: its Spelling says nothing"
            assert list(parts_in(info.annotation)) or allowed(info), f"{place}: it has no Spelling"


def test_no_line_of_the_sample_file_is_lost() -> None:
    """Each key at the top has its example, and together they are the whole file but for its head."""
    shown = samples()
    assert set(shown) == set(Settings.model_fields)
    kept = [line for text in shown.values() for line in text.splitlines() if line]
    body = SAMPLE.read_text("utf-8").partition("\n\n")[2]
    assert sorted(kept) == sorted(line for line in body.splitlines() if line)
