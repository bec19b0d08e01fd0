"""The one typed settings object: everything that comes from the environment is read here."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.warehouse.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
SEEDS_DIR = PROJECT_ROOT / "seeds"


class Settings(BaseSettings):
    """What the environment says (variables `JOURNEY_HOME`, `JOURNEY_DATABASE_URL`, …)."""

    model_config = SettingsConfigDict(env_prefix="JOURNEY_", env_ignore_empty=True, extra="ignore")

    home: Path = Field(
        default=PROJECT_ROOT / ".journey",
        description="Database files, landing zone, logs, Dagster home and credentials.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="An external PostgreSQL, version 16 or newer, instead of the embedded one.",
    )
    landing: str = Field(
        default="",
        description="Where files arrive: a folder, or s3:// or gs:// (default: home/landing).",
    )
    max_build_age_hours: float = Field(
        default=26,
        gt=0,
        description="Live messages are sent only on the word of a build this fresh.",
    )

    role_passwords: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Passwords of an external database's logins beside that of its address.",
    )

    failure_webhook_url: SecretStr | None = Field(
        default=None,
        description="Told by a POST of JSON when a run fails; the address is a secret.",
    )

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        try:
            return home.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"there is no user {home.parts[0].removeprefix('~')}") from None

    def model_post_init(self, context: object, /) -> None:
        """Fill in the landing folder, which follows the home unless it is set."""
        if not self.landing:
            self.landing = str(self.home / "landing")

    @property
    def uses_embedded_database(self) -> bool:
        """True when no external database is named, so that ours is used."""
        return self.database_url is None

    @property
    def dagster_home(self) -> Path:
        """The folder where Dagster keeps its runs and schedules."""
        return self.home / "dagster"

    @property
    def logs(self) -> Path:
        """The folder of the log files of everything that `journey up` starts."""
        return self.home / "logs"

    def of_tenant(self, name: str, tenant_id: str) -> SecretStr | None:
        """What a destination needs for a tenant: `NAME__TENANT`, else `NAME`; None when unset.

        The tenant is written in capitals, with `_` for `-`.
        """
        own = re.sub(r"[^A-Z0-9]", "_", tenant_id.upper())
        value = os.environ.get(f"{name}__{own}") or os.environ.get(name)
        return SecretStr(value) if value else None

    def dbt_environment(self) -> dict[str, str]:
        """The variables that `dbt_project/profiles.yml` reads, and libpq's own for the rest.

        Raises:
            DatabaseUnavailable: there is no embedded database yet.
        """
        from orchestration.warehouse.database import database_url

        url = database_url(self)
        environment = {
            "JOURNEY_PG_HOST": url.host or "127.0.0.1",
            "JOURNEY_PG_PORT": str(url.port or 5432),
            "JOURNEY_PG_USER": url.username or "",
            "JOURNEY_PG_PASSWORD": str(url.password or ""),
            "JOURNEY_PG_DBNAME": url.database or "",
            "PGTZ": "UTC",
        }
        for option in ("sslmode", "sslrootcert", "sslcert", "sslkey"):
            if option in url.query:
                environment[f"PG{option.upper()}"] = str(url.query[option])
        return environment


def get_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable holds something that cannot be used; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"JOURNEY_{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(f"The environment cannot be used. {problems}") from None
