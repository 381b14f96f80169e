"""What every test may ask for: real servers, a migrated database, tenants with keys.

One PostgreSQL and one Redis serve a whole test process (start: about a second). Tests never share a tenant: each asks
for its own, so that none needs to clean up after another.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cohortium_platform.database import Database
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.evaluated import EvaluatedTables
from cohortium_platform.engine.golden import answer_of, record_files
from cohortium_platform.keys import FileKeyEncryption, KeyEncryption, TenantKeys
from cohortium_platform.migrations import migrate
from cohortium_platform.services import Services, embedded_services
from cohortium_platform.settings import Settings
from cohortium_plugins import installed
from cohortium_plugins.golden import Answer, Engine
from cohortium_plugins.model import Definition
from cohortium_plugins.record import Record
from cohortium_tenants.keys import open_keys
from cohortium_tenants.tenants import Tenant, create_tenant


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests of one file together where it has fixtures of its own length: two workers would each make them."""
    for item in items:
        if not isinstance(item, pytest.Function) or item.get_closest_marker("xdist_group"):
            continue
        fixtures = item._fixtureinfo.name2fixturedefs  # pytest tells scopes nowhere else
        if any(found.scope == "module" for named in fixtures.values() for found in named):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for the whole run, outside pytest's own, which PostgreSQL's user could not reach."""
    folder = Path(tempfile.mkdtemp(prefix="cohortium-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def services(scratch: Path) -> Iterator[Services]:
    """A real PostgreSQL and a real Redis."""
    with embedded_services(scratch / "services", durable=False) as running:
        yield running
    shutil.rmtree(running.places.sockets.parent)


@pytest.fixture(scope="session")
def settings(services: Services, scratch: Path) -> Settings:
    """Settings of a migrated database, with a store and a key file."""
    FileKeyEncryption.create_file(scratch / "keys" / "key-encryption-key")
    made = Settings(
        database_url=SecretStr(services.database_url()),
        owner_database_url=SecretStr(services.database_url("cohortium_owner")),
        redis_url=SecretStr(services.redis_url),
        store_url=str(scratch / "store"),
        key_file=scratch / "keys" / "key-encryption-key",
        demo=True,
        memory_limit="1GB",
        threads=1,
    )
    migrate(made)
    return made


@pytest.fixture(scope="session")
def database(settings: Settings) -> Iterator[Database]:
    """The database as the application role."""
    database = Database(settings.database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def owner_database(settings: Settings) -> Iterator[Database]:
    """The database as the tables' owner, for looking at the catalogue."""
    assert settings.owner_database_url is not None
    database = Database(settings.owner_database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def key_encryption(settings: Settings) -> KeyEncryption:
    assert settings.key_file is not None
    return FileKeyEncryption(settings.key_file)


@pytest.fixture
def make_tenant(database: Database, key_encryption: KeyEncryption) -> Callable[..., Tenant]:
    """Make a tenant with keys, under a name of its own."""

    def make(name: str = "Testshire ICB", ods_code: str = "QT1") -> Tenant:
        return create_tenant(database, key_encryption, slug=f"t{uuid4().hex}", name=name, ods_code=ods_code)

    return make


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant()


@pytest.fixture
def other_tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    """A second tenant, to see that nothing of it shows in the first."""
    return make_tenant("Elsewhere ICB", "QT2")


@pytest.fixture
def tenant_keys(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> TenantKeys:
    """The keys of `tenant`."""
    with database.tenant(tenant.id) as session:
        return open_keys(session, key_encryption)


@pytest.fixture(scope="session")
def made_packs() -> ModuleType:
    """The small pack made for tests (`made_packs.py`): tests are no package, so that it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("made_packs", Path(__file__).parent / "made_packs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def by_spark() -> Callable[..., EvaluatedTables]:
    """The Spark engine in a driver of this process. Tests that use it stand in the xdist group `spark`, so that one
    Java machine serves them all.
    """
    from cohortium_platform.engine.spark import evaluate  # noqa: PLC0415 - PySpark takes a second to import

    # Short runs over few rows: thorough compilation costs them more than it gives, twice the time of the whole.
    os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    settings = EngineSettings(threads=2, memory_limit="2GB")

    return partial(evaluate, settings=settings)


@pytest.fixture(scope="session")
def spark_engine(by_spark: Callable[..., EvaluatedTables]) -> Engine:
    """Spark as golden patients are run on it."""

    def engine(definition: Definition, records: Sequence[Record], index_dates: Sequence[date], /) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            source = record_files(records, Path(folder))
            practices = sorted({record.practice for record in records})
            with by_spark(definition, source, practices, index_dates) as tables:
                return answer_of(tables, definition)

    return engine


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install distributions of one module each for the length of a test, found by an entry point of a group."""
    site = tmp_path / "site"
    modules = []

    def add(module: str, text: str, group: str = installed.PLUGINS_GROUP) -> None:
        name = module.replace("_", "-")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        modules.append(module)
        importlib.invalidate_caches()
        _forget_installed()

    monkeypatch.syspath_prepend(site)
    yield add
    for module in modules:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    _forget_installed()


def _forget_installed() -> None:
    """Let what is installed be looked up anew."""
    for found in (installed.installed_packs, installed.installed_importers, installed.installed_exporters):
        found.cache_clear()
    installed._manager.cache_clear()
