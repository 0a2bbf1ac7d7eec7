"""The schema for editors: complete, described, and no stricter or laxer on form than the loader."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from waitroom.settings.load import from_mapping
from waitroom.settings.problems import BadSettingsError
from waitroom.settings.schema import json_schema
from waitroom.settings.yaml12 import load_yaml

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
CONFIG = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
OF_CONTENT = [file for file in BAD if file.name.startswith(("key_", "type_", "value_"))]

SEEN_BY_THE_LOADER_ONLY = (
    "value_data_dir", "value_host", "value_identity", "value_instant_no_such_day", "value_jwt_key", "value_listen_ipv6",
    "value_listen_no_host", "value_listen_port.",
    "value_listen_relative", "value_match_empty",
    "value_network", "value_pages_logo", "value_pages_style", "value_pages_texts", "value_roster",
    "value_queue_status_password", "value_store_keeps", "value_url_address", "value_url_ipv6",
    "value_url_path", "value_url_user", "value_duration_order", "value_duration_too_long", "value_rate_zero",
    "value_listen_star", "value_size_small", "value_store_sentinel", "value_store_cluster",
    "key_missing_default_pool", "key_missing_max_sessions",
)  # fmt: skip
"""What a pattern cannot say, or spans keys."""


def _lists(data: Any) -> Any:
    """The loader's tuples as JSON knows them."""
    if isinstance(data, dict):
        return {key: _lists(value) for key, value in data.items()}
    return [_lists(value) for value in data] if isinstance(data, tuple) else data


def test_the_schema_is_one() -> None:
    """By the rules of its own dialect."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", CONFIG, ids=lambda file: file.name)
def test_samples_are_valid(file: Path) -> None:
    """An editor underlines nothing in them."""
    assert [error.message for error in VALIDATOR.iter_errors(_lists(load_yaml(file.read_bytes()).data))] == []


@pytest.mark.parametrize("file", OF_CONTENT, ids=lambda file: file.stem)
def test_an_editor_sees_what_form_can_tell(file: Path) -> None:
    """Unknown and missing keys, wrong types and spellings are underlined while typing."""
    valid = VALIDATOR.is_valid(_lists(load_yaml(file.read_bytes()).data))
    assert valid == file.name.startswith(SEEN_BY_THE_LOADER_ONLY)


def test_every_key_says_what_it_does() -> None:
    """A description each."""
    parts = {"Settings": SCHEMA, **SCHEMA["$defs"]}
    for name, part in parts.items():
        for key, described in part.get("properties", {}).items():
            reference = described.get("$ref", "").rpartition("/")[2]
            text = described.get("description") or parts[reference]["description"]
            assert text.endswith("."), f"{name}.{key}: {text}"


def test_defaults_are_in_the_files_spelling() -> None:
    """30m, not 1800000."""
    assert SCHEMA["$defs"]["Session"]["properties"]["idle_timeout"]["default"] == "30m"
    assert SCHEMA["$defs"]["Admission"]["properties"]["rate"]["default"] == "unlimited"
    assert SCHEMA["$defs"]["Limits"]["properties"]["header"]["default"] == "32KiB"
    assert SCHEMA["$defs"]["Listen"]["properties"]["admin"]["default"] == "127.0.0.1:9090"


def _defaults(name: str) -> dict[str, object]:
    properties = ({"Settings": SCHEMA} | SCHEMA["$defs"])[name]["properties"]
    return {key: described["default"] for key, described in properties.items() if "default" in described}


def test_saying_the_defaults_changes_nothing() -> None:
    """What the schema calls the default is what the loader takes in its absence."""
    pool = {"backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}}}
    plain = from_mapping({"pools": {"main": pool}})
    said_pool = pool | _defaults("Pool") | {part.lower(): _defaults(part) for part in ("Session", "Admission")}
    said = from_mapping(
        {
            **_defaults("Settings"),
            "pools": {"main": said_pool},
            "listen": _defaults("Listen"),
            "store": _defaults("Store"),
            "timeouts": _defaults("Timeouts"),
            "limits": _defaults("Limits"),
            "logging": _defaults("Logging"),
            "admin": _defaults("Admin"),
        }
    )
    assert said == plain


quantities = st.integers(0, 99) | st.from_regex(
    r"[0-9]{1,4}(\.[0-9]{1,2})? ?(ms|s|m|h|d|KiB|kB|/s|/min|x)", fullmatch=True
)


@given(quantities, quantities, quantities)
def test_what_the_schema_refuses_the_loader_refuses(idle: object, rate: object, header: object) -> None:
    """An editor never underlines what would have worked."""
    data = {
        "pools": {
            "main": {
                "backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}},
                "session": {"idle_timeout": idle, "max_duration": "7d"},
                "admission": {"rate": rate},
            }
        },
        "limits": {"header": header},
    }
    if not VALIDATOR.is_valid(data):
        with pytest.raises(BadSettingsError):
            from_mapping(data)
