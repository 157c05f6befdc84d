"""Settings: flags before environment before file, and nonsense is refused by name."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from weftdb.core.limits import MiB
from weftdb.server.reference_settings import Fate, fate_of
from weftdb.server.settings import SETTINGS, BadSettings, ServerSettings, load_settings

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "deploy" / "weftdb.sample.yaml"
SHARED = Path(os.environ.get("WEFTDB_SHARED", ROOT.parent / "shared"))
SHEET = SHARED / "reference" / "weaviate-api.md"
BY_PATH = {setting.path: setting for setting in SETTINGS}


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a tree of dataclasses, by the path that users write."""
    for item in dataclasses.fields(tree):
        if not item.metadata.get("is_setting", True):
            continue
        value = getattr(tree, item.name)
        path = prefix + item.name
        if dataclasses.is_dataclass(value):
            yield from leaves(value, "" if path == "engine" else path + ".")
        else:
            yield path, value


def settings(environment: dict[str, str], **flags: str) -> ServerSettings:
    return load_settings(environment, flags).settings


def test_nothing_given_is_the_defaults() -> None:
    assert settings({}) == ServerSettings()


def test_every_field_of_the_tree_is_a_setting_and_the_reverse() -> None:
    assert {path for path, _ in leaves(ServerSettings())} == set(BY_PATH)


def test_the_sample_file_names_every_setting_with_its_default(tmp_path: Path) -> None:
    assert load_settings({}, {}, str(SAMPLE)).settings == ServerSettings()
    body = yaml.safe_load(SAMPLE.read_text())
    named = {
        f"{part}.{name}" if isinstance(inner, dict) else part
        for part, inner in body.items()
        for name in (inner if isinstance(inner, dict) else [None])
    }
    assert named == set(BY_PATH)
    lines = SAMPLE.read_text().splitlines()
    for line in lines:
        if ":" in line and not line.startswith("#") and not line.endswith(":"):
            assert "#" in line, f"no word about: {line}"
    for setting in SETTINGS:
        if setting.reference:
            assert any(f"[{setting.reference}]" in line for line in lines), setting.reference


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_every_default_can_be_given_by_its_variable(setting: Any) -> None:
    default = dict(leaves(ServerSettings()))[setting.path]
    text = "" if default is None else str(default)
    assert settings({setting.variable: text}) == ServerSettings()


def test_flag_beats_environment_beats_file(tmp_path: Path) -> None:
    file = tmp_path / "weftdb.yaml"
    file.write_text("query: {default_limit: 1, maximum_results: 50}\nhttp: {port: 1001}\n")
    environment = {"WEFTDB_CONFIG": str(file), "QUERY_DEFAULTS_LIMIT": "2", "PORT": "1002"}
    loaded = load_settings(environment, {"http.port": "1003"}).settings
    assert loaded.engine.query.maximum_results == 50
    assert loaded.engine.query.default_limit == 2
    assert loaded.http.port == 1003


def test_names_of_the_reference_and_units() -> None:
    loaded = settings(
        {
            "PERSISTENCE_DATA_PATH": "/tmp/x",
            "HOST": "0.0.0.0",
            "GRPC_MAX_MESSAGE_SIZE": "2000000",
            "PERSISTENCE_MEMTABLES_MAX_SIZE_MB": "200",
            "WEFTDB_STORAGE_BLOCK_CACHE_BYTES": "32MiB",
            "MODULES_CLIENT_TIMEOUT": "1m30s",
            "AUTOSCHEMA_ENABLED": "off",
            "PROMETHEUS_MONITORING_ENABLED": "enabled",
            "CLUSTER_HOSTNAME": "weft-0",
            "OBJECTS_TTL_DELETE_SCHEDULE": "@every 1m",
            "QUERY_DEFAULTS_LIMIT": "",
        }
    )
    assert (loaded.data, loaded.http.host) == (Path("/tmp/x"), "0.0.0.0")
    assert loaded.grpc.message_bytes_max == 2_000_000
    assert loaded.engine.storage.write_buffer_bytes == 200 * MiB
    assert loaded.engine.storage.block_cache_bytes == 32 * MiB
    assert loaded.engine.modules.timeout_s == 90.0
    assert not loaded.engine.schema.auto_schema
    assert loaded.metrics.enabled
    assert loaded.engine.node_name == "weft-0"
    assert loaded.engine.schema.ttl_sweep_interval_s == 60.0
    assert loaded.engine.query.default_limit == ServerSettings().engine.query.default_limit


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PORT": "http"}, "PORT='http': expected a whole number from 0 to 65535"),
        ({"PORT": "70000"}, "PORT='70000'"),
        ({"QUERY_DEFAULTS_LIMIT": "0"}, "of at least 1"),
        ({"AUTOSCHEMA_ENABLED": "perhaps"}, "expected true or false"),
        ({"LOG_LEVEL": "loud"}, "expected one of trace, debug"),
        ({"GRPC_MAX_MESSAGE_SIZE": "5"}, "a size of at least"),
        ({"WEFTDB_STORAGE_BLOCK_CACHE_BYTES": "64 parsecs"}, "a size of at least"),
        ({"MODULES_CLIENT_TIMEOUT": "soon"}, "a time of at least"),
        ({"PERSISTENCE_MEMTABLES_MAX_SIZE_MB": "many"}, "expected a whole number"),
        ({"WEFTDB_TYPO": "1"}, "WEFTDB_TYPO='1': there is no such setting"),
        ({"PORT": "8081", "WEFTDB_HTTP_PORT": "8082"}, "different values"),
        ({"PORT": "50051"}, "same port"),
        ({"QUERY_DEFAULTS_LIMIT": "20", "QUERY_MAXIMUM_RESULTS": "10"}, "is above"),
        ({"GRPC_CERT_FILE": "/x.pem"}, "go together"),
        ({"CLUSTER_HOSTNAME": " ", "WEFTDB_NODE_NAME": ""}, "a text that is not empty"),
        ({"WEFTDB_CONFIG": "/does/not/exist.yaml"}, "/does/not/exist.yaml: No such file"),
        ({"AUTHENTICATION_APIKEY_ENABLED": "true"}, "leave the data open"),
        ({"AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false"}, "leave the data open"),
        ({"AUTHORIZATION_RBAC_ENABLED": "true"}, "leave the data open"),
        ({"MAINTENANCE_NODES": "node1"}, "out of service"),
        ({"OPERATIONAL_MODE": "ReadOnly"}, "reads and writes"),
        ({"MAXIMUM_ALLOWED_COLLECTIONS_COUNT": "5"}, "usage limits"),
    ],
)
def test_bad_values_are_refused_by_name(environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=re.escape(words)):
        load_settings(environment, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("query: {default_limits: 3}", "there is no setting 'query.default_limits'"),
        ("query: {default_limit: many}", "query.default_limit='many': expected a whole number"),
        ("query: {default_limit: 2.5}", "expected a whole number"),
        ("http: {port: true}", "expected a whole number"),
        ("- a list", "names with values at the top"),
        ("{", "no YAML"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "weftdb.yaml"
    file.write_text(text)
    with pytest.raises(BadSettings, match=re.escape(words)):
        load_settings({}, {}, str(file))


def test_an_empty_file_and_settings_that_ask_for_nothing_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "weftdb.yaml"
    file.write_text("# nothing\n")
    environment = {
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "AUTHORIZATION_RBAC_ENABLED": "false",
        "RAFT_JOIN": "node1",
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "MAXIMUM_ALLOWED_COLLECTIONS_COUNT": "-1",
        "DISABLE_TELEMETRY": "true",
        "PATH": "/bin",
    }
    assert load_settings(environment, {}, str(file)).notes == ()


def test_what_is_ignored_is_said() -> None:
    notes = load_settings({"ENABLE_MODULES": "x", "RAFT_TIMEOUT": "9", "HOME": "/"}, {}).notes
    assert [note.split()[0] for note in notes] == ["ENABLE_MODULES", "RAFT_TIMEOUT"]


@pytest.mark.skipif(not SHEET.exists(), reason=f"{SHEET} is not there (set WEFTDB_SHARED)")
def test_every_variable_of_the_reference_has_a_fate() -> None:
    sheet = SHEET.read_text()
    names = set(sheet[sheet.index("# Appendix D") :].split("\n", 1)[1].split())
    assert len(names) > 300
    honoured = {setting.reference for setting in SETTINGS}
    fates = {
        name: Fate.HONOURED if name in honoured else getattr(fate_of(name), "kind", None)
        for name in names
    }
    assert [name for name, fate in sorted(fates.items()) if fate is None] == []
    assert set(fates.values()) == set(Fate)
