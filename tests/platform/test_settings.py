from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohortium_platform.errors import BadSettings
from cohortium_platform.settings import ENVIRONMENT_PREFIX, Settings, load_settings

SECRET = "hunter2-is-secret"  # noqa: S105 - looked for in messages
GOOD = {
    "DATABASE_URL": f"postgresql://cohortium_app:{SECRET}@db.example/cohortium",
    "OWNER_DATABASE_URL": f"postgresql://cohortium_owner:{SECRET}@db.example/cohortium",
    "REDIS_URL": f"rediss://user:{SECRET}@redis.example:6380",
    "STORE_URL": "file:///srv/cohortium/store",
    "KMS": "vault:https://vault.example",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(ENVIRONMENT_PREFIX + name, value)
    return monkeypatch


def test_a_whole_environment_makes_settings_that_show_no_secret() -> None:
    settings = load_settings()
    assert settings.store_root == Path("/srv/cohortium/store")
    assert settings.engine == "duckdb"
    assert settings.threads >= 1
    assert settings.demo is False
    assert SECRET not in repr(settings)
    assert settings.database_url.get_secret_value().startswith("postgresql://")


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "STORE_URL"])
def test_a_missing_setting_is_named_with_what_to_write(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(ENVIRONMENT_PREFIX + name)
    with pytest.raises(BadSettings) as raised:
        load_settings()
    message = str(raised.value)
    assert f"COHORTIUM_{name} is missing" in message
    assert "Write for example: " in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/d", "COHORTIUM_DATABASE_URL is not a PostgreSQL address"),
        ("DATABASE_URL", "postgresql://db.example/cohortium", "lacks the role's name"),
        ("DATABASE_URL", f"postgresql://cohortium_owner:{SECRET}@db.example/cohortium", "needs two"),
        ("REDIS_URL", f"http://{SECRET}", "COHORTIUM_REDIS_URL is not a Redis address"),
        ("STORE_URL", f"relative/{SECRET}", "COHORTIUM_STORE_URL is not an absolute folder"),
        ("STORE_URL", "s3://bucket", "COHORTIUM_STORE_URL is not an absolute folder"),
        ("THREADS", "zero", "COHORTIUM_THREADS is wrong"),
        ("THREADS", "0", "COHORTIUM_THREADS is wrong"),
        ("ENGINE", "sqlite", "COHORTIUM_ENGINE is wrong"),
        ("SPARK_MASTER", "locl[2]", "COHORTIUM_SPARK_MASTER is no place where Spark runs"),
        ("SPARK_MASTER", "local[0]", "COHORTIUM_SPARK_MASTER is no place where Spark runs"),
        ("SPARK_MASTER", "http://host", "COHORTIUM_SPARK_MASTER is no place where Spark runs"),
        ("MEMORY_LIMIT", "plenty", "COHORTIUM_MEMORY_LIMIT is not a size"),
        ("DEMO", "perhaps", "COHORTIUM_DEMO is wrong"),
        ("KEY_FILE", "/etc/key", "COHORTIUM_KMS (or in a demonstration COHORTIUM_KEY_FILE, never both)"),
        ("DATABSE_URL", "x", "Did you mean COHORTIUM_DATABASE_URL?"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    environment: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    environment.setenv(ENVIRONMENT_PREFIX + name, value)
    with pytest.raises(BadSettings) as raised:
        load_settings()
    assert says in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None, "a cause might quote the value"


def test_all_that_is_wrong_is_told_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("COHORTIUM_DATABASE_URL")
    environment.setenv("COHORTIUM_ENGINE", "sqlite")
    environment.setenv("COHORTIUM_NONSENSE", "1")
    with pytest.raises(BadSettings) as raised:
        load_settings()
    assert all(name in str(raised.value) for name in ("DATABASE_URL", "ENGINE", "NONSENSE"))


def test_a_key_file_is_for_demonstrations_and_outside_the_store(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("COHORTIUM_KMS")
    environment.setenv("COHORTIUM_KEY_FILE", "/srv/cohortium/keys/key")
    with pytest.raises(BadSettings, match="for demonstrations"):
        load_settings()
    environment.setenv("COHORTIUM_DEMO", "true")
    assert load_settings().key_file == Path("/srv/cohortium/keys/key")
    environment.setenv("COHORTIUM_KEY_FILE", "/srv/cohortium/store/key")
    with pytest.raises(BadSettings, match="inside COHORTIUM_STORE_URL"):
        load_settings()


@pytest.mark.parametrize(
    "master",
    ["local", "local[2]", "local[*]", "spark://host:7077", "yarn", "k8s://https://host:443", "sc://host:15002"],
)
def test_places_where_spark_runs(environment: pytest.MonkeyPatch, master: str) -> None:
    environment.setenv("COHORTIUM_ENGINE", "spark")
    environment.setenv("COHORTIUM_SPARK_MASTER", master)
    assert load_settings().spark_master == master


def test_every_setting_says_what_it_is_and_shows_an_example() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description and field.examples)] == []
