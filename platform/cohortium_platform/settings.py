"""Settings: one typed class, read from environment variables that begin with COHORTIUM_.

Here: what may be set, what each must look like, and the message that stops the start when one is wrong. Not here:
anything a tenant may change (those are rows of the tenant's), and defaults for the demo (its command sets variables).
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cohortium_platform.errors import BadSettings

__all__ = ["ENVIRONMENT_PREFIX", "Settings", "load_settings"]

ENVIRONMENT_PREFIX = "COHORTIUM_"
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def _half_of_memory() -> str:
    """Half of what this process may use, as DuckDB writes sizes; a container's limit counts."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if _CGROUP_LIMIT.is_file() and (limit := _CGROUP_LIMIT.read_text().strip()).isdigit():
        total = min(total, int(limit))
    return f"{max(total // 2**21, 256)}MiB"


def _processors() -> int:
    """Processors that this process may use; not every system can say, and then all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """What the service needs to know before it starts. Use `load_settings` to get one with errors people can act on."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(
        description="PostgreSQL as the application role, which owns nothing",
        examples=["postgresql://cohortium_app:PASSWORD@HOST:5432/cohortium"],
    )
    owner_database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL as the role that owns the tables; only `cohortium migrate` uses it",
        examples=["postgresql://cohortium_owner:PASSWORD@HOST:5432/cohortium"],
    )
    redis_url: SecretStr = Field(
        description="Redis, which carries jobs",
        examples=["redis://HOST:6379", "rediss://USER:PASSWORD@HOST:6380", "unix:///run/redis/redis.sock"],
    )
    store_url: str = Field(
        description="Folder under which each tenant's record store has a root of its own",
        examples=["file:///srv/cohortium/store", "/srv/cohortium/store"],
    )
    key_file: Path | None = Field(
        default=None,
        description="File with the key-encryption key, for a demonstration only; outside the store",
        examples=["/etc/cohortium/key-encryption-key"],
    )
    kms: str | None = Field(
        default=None,
        description="Key management service that wraps tenants' keys: a provider's name, a colon, its address",
        examples=["PROVIDER:ADDRESS"],
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which browsers and programs reach the service, and providers send people back",
        examples=["https://cohortium.example.nhs.uk"],
    )
    demo: bool = Field(
        default=False, description="Demonstration mode: fictitious people sign in by name", examples=["true"]
    )
    memory_limit: str = Field(
        default_factory=_half_of_memory,
        description="Memory that one evaluation may use",
        examples=["4GB", "512MiB"],
    )
    threads: int = Field(
        default_factory=_processors,
        ge=1,
        le=1024,
        description="Threads that one evaluation may use",
        examples=["4"],
    )
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb", description="What evaluates definitions over records", examples=["duckdb", "spark"]
    )
    spark_master: str = Field(
        default="local",
        description="Where Spark runs, for ENGINE=spark: this machine, a cluster, or the address of Spark Connect",
        examples=["local", "local[4]", "spark://HOST:7077", "sc://HOST:15002"],
    )

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in {"postgresql", "postgres"}:
            raise ValueError("is not a PostgreSQL address")
        if not parts.username or len(parts.path) < len("/x"):
            raise ValueError("lacks the role's name or the database's name")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("is not a Redis address")
        return url

    @field_validator("store_url")
    @classmethod
    def _is_a_folder(cls, url: str) -> str:
        if url.startswith("/") or (url.startswith("file:///") and len(url) > len("file:///")):
            return url
        raise ValueError("is not an absolute folder")

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^/?#@\s]+", url):
            raise ValueError("is not an address without a path")
        return url

    @field_validator("spark_master")
    @classmethod
    def _is_a_master(cls, master: str) -> str:
        if not re.fullmatch(r"local(\[([1-9][0-9]*|\*)\])?|yarn|(spark|sc)://[^/\s]+.*|k8s://\S+", master):
            raise ValueError("is no place where Spark runs")
        return master

    @field_validator("memory_limit")
    @classmethod
    def _is_a_size(cls, size: str) -> str:
        if not re.fullmatch(r"[1-9][0-9]*(\.[0-9]+)? ?([KMGT]i?B)", size):
            raise ValueError("is not a size with a unit")
        return size

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.key_file is None) == (self.kms is None):
            raise ValueError(
                "KMS (or in a demonstration KEY_FILE, never both) must say where tenants' keys are wrapped"
            )
        if self.public_url is not None and not self.demo and not self.public_url.startswith("https://"):
            raise ValueError("PUBLIC_URL must begin with https://, except in a demonstration")
        if self.key_file is not None and not self.demo:
            raise ValueError("KEY_FILE is for demonstrations: name a key management service in KMS, or set DEMO=true")
        if self.key_file is not None and self.key_file.resolve().is_relative_to(self.store_root.resolve()):
            raise ValueError("KEY_FILE lies inside STORE_URL: a copy of the store would carry its own key")
        owner = self.owner_database_url
        if owner and _role(owner) == _role(self.database_url):
            raise ValueError("OWNER_DATABASE_URL and DATABASE_URL name one role: row-level security needs two")
        return self

    @property
    def store_root(self) -> Path:
        """The folder that `store_url` names."""
        return Path(unquote(self.store_url.removeprefix("file://")))


def _role(url: SecretStr) -> str:
    return urlsplit(url.get_secret_value()).username or ""


def load_settings() -> Settings:
    """Read the environment. Raises `BadSettings`, which names every wrong variable and what to write in its place."""
    problems = [_unknown(name) for name in sorted(os.environ) if _is_unknown(name)]
    try:
        settings = Settings()
    except ValidationError as invalid:
        problems += [_problem(error["loc"], error["type"], error["msg"]) for error in invalid.errors()]
        raise BadSettings(_listed(problems), _ADVICE) from None
    if problems:
        raise BadSettings(_listed(problems), _ADVICE)
    return settings


_ADVICE = "Correct the environment and start again."


def _listed(problems: list[str]) -> str:
    return "The settings are wrong.\n" + "\n".join(f"- {problem}" for problem in problems) + "\n"


def _is_unknown(name: str) -> bool:
    return (
        name.startswith(ENVIRONMENT_PREFIX)
        and name.removeprefix(ENVIRONMENT_PREFIX).lower() not in Settings.model_fields
    )


def _unknown(name: str) -> str:
    known = [ENVIRONMENT_PREFIX + field.upper() for field in Settings.model_fields]
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting." + (f" Did you mean {near[0]}?" if near else f" Those are: {', '.join(known)}.")


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """Put one finding into words. The value itself is never shown: it may hold a password."""
    if not location:
        return re.sub(r"\b([A-Z]+(?:_[A-Z]+)*)\b", _prefixed, message.removeprefix("Value error, ")) + "."
    name = str(location[0])
    field = Settings.model_fields[name]
    says = "is missing" if kind == "missing" else message.removeprefix("Value error, ")
    if kind not in {"missing", "value_error"}:
        says = f"is wrong ({message[:1].lower()}{message[1:]})"
    examples = " or ".join(str(example) for example in field.examples or [])
    return f"{ENVIRONMENT_PREFIX}{name.upper()} {says}. {field.description}. Write for example: {examples}"


def _prefixed(word: re.Match[str]) -> str:
    return ENVIRONMENT_PREFIX + word[0] if word[0].lower() in Settings.model_fields else word[0]
