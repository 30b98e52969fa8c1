"""Settings: one TOML file in the platform's directory, overridden by the environment.

`ARMILLARY_HOME` names the directory (default `~/.local/share/armillary`); `armillary.toml` in it holds the
settings; `ARMILLARY_<NAME>` overrides a top-level one and `ARMILLARY_<TABLE>__<NAME>` one inside a table.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from armillary.app.settings_tables import (
    AuditTable,
    BatchTable,
    CloudTable,
    DoiTable,
    HTCondorTable,
    LimitsTable,
    MachinesTable,
    MailTable,
    OidcTable,
    ProvenanceTable,
    VOSpaceTable,
    default_clouds,
)
from armillary.base.errors import Invalid


def home_directory() -> Path:
    """The directory that holds all data of the platform."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("ARMILLARY_HOME") or f"{data}/armillary").expanduser().absolute()


def cache_directory() -> Path:
    """Where base images are kept by digest; shared between platforms of one user, safe to delete."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ARMILLARY_CACHE") or f"{cache}/armillary").expanduser().absolute()


class Settings(BaseSettings):
    """Everything that an operator may set."""

    model_config = SettingsConfigDict(env_prefix="ARMILLARY_", env_nested_delimiter="__", extra="forbid")

    host: str = Field(default="127.0.0.1", description="address that the platform listens on")
    https_port: int = Field(default=8443, ge=0, le=65535)
    http_port: int = Field(default=8080, ge=0, le=65535, description="the portal without TLS, loopback only")
    inside_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="pages of people's machines, such as JupyterLab, without TLS, loopback only; 0: any free one",
    )
    inside_url: str = Field(
        default="",
        pattern=r"^(https?://\*\.[^/*\s]+)?$",
        description="how browsers reach those pages, `https://*.HOST`: each machine has a name of its own there. "
        "Empty: `http://*.localhost` on this computer",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="`/metrics` without a token, plain, loopback only; for Prometheus on the same machine",
    )
    proxies: list[str] = Field(
        default=[],
        description="addresses or networks of proxies before the portal and the APIs, whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed",
    )
    host_names: list[str] = Field(
        default=[], description="further names and addresses in the server certificate"
    )
    database_url: str = Field(
        default="",
        repr=False,  # it may hold a password
        description="of the records, `postgresql://USER:PASSWORD@HOST/NAME`; empty: SQLite in the home",
    )
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    clouds_yaml: Path | None = Field(
        default=None, description="outer OpenStack clouds, in OpenStack's own format"
    )
    guest_urls: dict[str, str] = Field(
        default={}, description="per outer cloud, our address as its machines see it"
    )
    guest_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        default=[],
        description="further TCP ports of this computer that machines of embedded clouds reach: those of its loopback at"
        " their gateway, and those of its other addresses there",
    )
    clouds: list[CloudTable] = Field(default_factory=default_clouds)
    batch: BatchTable = BatchTable()
    htcondor: HTCondorTable = HTCondorTable()
    limits: LimitsTable = LimitsTable()
    machines: MachinesTable = MachinesTable()
    mail: MailTable = MailTable()
    oidc: OidcTable = OidcTable()
    audit: AuditTable = AuditTable()
    doi: DoiTable = DoiTable()
    provenance: ProvenanceTable = ProvenanceTable()
    vospace: VOSpaceTable = VOSpaceTable()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's names
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = home_directory() / "armillary.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @field_validator("proxies")
    @classmethod
    def _proxies_are_addresses(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:  # a name, or a star for everybody, would let anybody say who they are
            ip_network(proxy)
        return proxies

    @field_validator("clouds")
    @classmethod
    def _clouds_differ(cls, clouds: list[CloudTable]) -> list[CloudTable]:
        for what in ("name", "floating_cidr"):
            values = [getattr(cloud, what) for cloud in clouds]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two clouds have the same {what}: {', '.join(sorted(twice))}")
        return clouds

    @model_validator(mode="after")
    def _pool_is_named(self) -> Settings:
        if self.batch.engine == "htcondor":
            needed = ("collector", "trust_domain", "token_file", "key_file")
            missing = [f"htcondor.{name}" for name in needed if not getattr(self.htcondor, name)]
            if missing:
                raise ValueError(f"the engine htcondor needs {', '.join(missing)}")
        return self

    @property
    def home(self) -> Path:
        return home_directory()

    @property
    def cache(self) -> Path:
        return cache_directory()

    @property
    def records_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'armillary.db'}"


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        Invalid: the file is not TOML, or a setting is unknown or out of its range; all findings are named.
    """
    try:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise Invalid(
            f"{home_directory() / 'armillary.toml'} is not valid TOML: {error}",
            code="bad_settings",
            remedy="mend that line, or move the file away to run with the defaults",
        ) from error
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        raise Invalid(
            f"the settings cannot be read: {error}",
            code="bad_settings",
            remedy=f"mend {home_directory() / 'armillary.toml'} or the ARMILLARY_* variables",
        ) from error
    except ValidationError as error:
        found = {".".join(map(str, e["loc"])) or "file": e["msg"] for e in error.errors()}
        raise Invalid(
            "the settings are not right: " + "; ".join(f"{name}: {what}" for name, what in found.items()),
            code="bad_settings",
            facts=found,
            remedy=f"mend {home_directory() / 'armillary.toml'} or the ARMILLARY_* variables",
        ) from error
