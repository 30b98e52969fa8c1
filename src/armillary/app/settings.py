"""Settings: one TOML file in the platform's directory, overridden by the environment.

`ARMILLARY_HOME` names the directory (default `~/.local/share/armillary`); `armillary.toml` in it holds the
settings; `ARMILLARY_<NAME>` overrides a top-level one and `ARMILLARY_<TABLE>__<NAME>` one inside a table.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
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

from armillary.base.errors import Invalid


def home_directory() -> Path:
    """The directory that holds all data of the platform."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("ARMILLARY_HOME") or f"{data}/armillary").expanduser().absolute()


def cache_directory() -> Path:
    """Where base images are kept by digest; shared between platforms of one user, safe to delete."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ARMILLARY_CACHE") or f"{cache}/armillary").expanduser().absolute()


def _half_of_memory() -> int:
    return max(2048, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CloudTable(_Table):
    """One embedded cloud: `[[clouds]]`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    port: int = Field(ge=0, le=65535, description="loopback TCP port of its OpenStack APIs")
    vcpus: int = Field(default_factory=lambda: max(4, 2 * (os.cpu_count() or 1)), ge=1)
    ram_mib: int = Field(default_factory=_half_of_memory, ge=256)
    disk_gib: int = Field(default=200, ge=1)
    floating_cidr: str = Field(description="loopback range of its floating IPs")
    engine: Literal["qemu", "fake"] = "qemu"
    warm_checkpoints: int = Field(
        default=4, ge=0, description="memories of waiting workers that it keeps; 0: none, all workers boot"
    )
    warm_gib: int = Field(default=10, ge=1, description="that those may take of the disk in all")

    @field_validator("floating_cidr")
    @classmethod
    def _on_loopback(cls, cidr: str) -> str:
        network = IPv4Network(cidr)
        if not network.subnet_of(IPv4Network("127.0.0.0/8")) or network.num_addresses < 8:
            raise ValueError("must be a range of at least 8 loopback addresses, such as 127.16.0.0/24")
        return cidr


class ReserveTable(_Table):
    """Workers that are kept ready though no job waits: `[[batch.reserve]]`."""

    project: str = Field(description="its name or id")
    image: str = Field(description="its name, id or SHA-512")
    flavor: str = Field(description="of the workers")
    workers: int = Field(ge=1, le=10_000, description="that are to wait for jobs")
    cloud: str = Field(default="", description="where; empty: on whichever cloud")


class BatchTable(_Table):
    """`[batch]`"""

    engine: Literal["embedded", "htcondor"] = Field(
        default="embedded", description="who runs the jobs: our own queue, or the pool of `[htcondor]`"
    )
    idle_seconds: float = Field(default=120, ge=0, description="a worker without work is retired after this")
    register_seconds: float = Field(
        default=900, gt=0, description="a worker must report within this after its boot"
    )
    lease_seconds: float = Field(
        default=60, gt=0, description="a worker that is silent for this has lost its jobs"
    )
    tick_seconds: float = Field(default=2, gt=0, description="how often the scaler looks")
    concurrency_limits: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={},
        description="how much of each named limit all jobs may take together, such as {idl = 20}; others are unlimited",
    )
    booting_at_once: int = Field(
        default=4,
        ge=1,
        description="workers that boot on one cloud at once; half as many as it carries, if that is more",
    )
    costs: dict[str, float] = Field(
        default={},
        description="what a core-hour costs, by `CLOUD` or `CLOUD/FLAVOR`; 1 elsewhere. Cheap comes first",
    )
    budgets: dict[str, float] = Field(
        default={},
        description="core-hours at those costs that workers of a project, by its name, may use in a month",
    )
    reserve: list[ReserveTable] = Field(default=[], description="workers that are kept ready, see below")
    warm_workers: bool = Field(
        default=True, description="workers begin from a checkpoint of their image where the cloud has one"
    )
    notify_hosts: list[str] = Field(
        default=[],
        description="where jobs' `notify_url` may go besides the Internet: names, NAME:PORT, addresses or networks",
    )


class MailTable(_Table):
    """`[mail]`"""

    host: str = Field(default="", description="of the mail server; empty: no mail is sent")
    port: int = Field(default=25, ge=1, le=65535, description="usually 25, or 587 with `starttls`")
    starttls: bool = Field(default=False, description="go over to TLS before anything is said")
    user: str = Field(default="", description="to sign in as; empty: without")
    password_file: Path | None = Field(default=None, description="holds the password of `user`, on one line")
    sender: str = Field(
        default="armillary@localhost",
        pattern=r"^[^\s@]+@[^\s@]+$",
        description="address that the mail comes from",
    )
    to_others: bool = Field(
        default=False, description="whether jobs may write to other addresses than their owner's"
    )

    @model_validator(mode="after")
    def _both(self) -> MailTable:
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file need each other")
        return self


class OidcTable(_Table):
    """`[oidc]`"""

    issuer: str = Field(
        default="",
        pattern=r"^(https://.+|http://(localhost|127\.0\.0\.1)(:.+)?)?$",
        description="URL of the provider of OpenID Connect with which people may sign in; empty: none",
    )
    client_id: str = Field(default="", description="what the provider knows this platform as")
    client_secret_file: Path | None = Field(
        default=None, description="holds the secret that the provider gave, on one line"
    )
    label: str = Field(default="OpenID Connect", description="what people call the provider")

    @model_validator(mode="after")
    def _whole(self) -> OidcTable:
        if bool(self.issuer) != bool(self.client_id) or bool(self.issuer) != bool(self.client_secret_file):
            raise ValueError("issuer, client_id and client_secret_file need each other")
        return self


class HTCondorTable(_Table):
    """`[htcondor]`"""

    collector: str = Field(default="", description="of the pool, `HOST:PORT`")
    collector_for_workers: str = Field(
        default="", description="as machines of the clouds reach it; empty: as we do"
    )
    hosts: dict[str, str] = Field(
        default={}, description="addresses by name, for machines whose name service does not know the pool"
    )
    schedd: str = Field(default="", description="name of the one that jobs go to; empty: the pool's first")
    trust_domain: str = Field(default="", description="the pool's TRUST_DOMAIN")
    token_file: Path | None = Field(default=None, description="holds our token for the pool")
    key_file: Path | None = Field(
        default=None,
        description="a signing key of the pool, with which workers' tokens are made; its name counts",
    )
    token_hours: float = Field(default=168, gt=0, description="that a worker's token is good for")


class LimitsTable(_Table):
    """`[limits]`"""

    requests_per_minute: int = Field(
        default=6000, ge=0, description="that one token may make of a cloud's APIs; 0: no bound"
    )
    sign_ins_per_minute: int = Field(
        default=600, ge=0, description="that one address may make at a cloud; 0: no bound"
    )
    groups_per_person: int = Field(default=100, ge=0, description="that one person may own")
    certificate_days: int = Field(
        default=30, ge=1, le=366, description="that a client certificate is good for, at most"
    )


class AuditTable(_Table):
    """`[audit]`"""

    days: int = Field(default=365, ge=1, description="that entries of the audit trail are kept")
    entries: int = Field(default=1_000_000, ge=1000, description="of the trail that are kept, at most")


class VOSpaceTable(_Table):
    """`[vospace]`"""

    authority: str = Field(
        default="armillary.example", description="of our IVOA identifiers, ivo://AUTHORITY/vault"
    )
    third_party_hosts: list[str] = Field(
        default=[],
        description="where transfers with other services may go besides the Internet: names, NAME:PORT, "
        "addresses or networks such as 10.1.0.0/16",
    )
    bytes: str = Field(
        default="folder",
        pattern=r"^(folder|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?)$",
        description="where files are: `folder`, in the home, or `s3://BUCKET/PREFIX`",
    )
    s3_endpoint: str = Field(
        default="", pattern=r"^(https?://.+)?$", description="URL of the S3 server; empty: Amazon's"
    )
    s3_region: str = Field(default="", description="of the bucket; empty: AWS_REGION, or us-east-1")
    s3_access_key: str = Field(
        default="", description="empty: AWS_ACCESS_KEY_ID, or what the machine itself may do"
    )
    s3_secret_key: SecretStr = Field(default=SecretStr(""), description="best given by the environment")
    views_at_once: int = Field(
        default=2, ge=1, le=64, description="cutouts and pictures that are made at a time, each in a process"
    )
    view_max_mib: int = Field(default=1024, ge=1, description="of a cutout")
    view_memory_mib: int = Field(
        default=2048, ge=512, description="address space of a process that makes views"
    )
    view_seconds: int = Field(default=30, ge=1, description="of processor time for a cutout or a picture")

    @model_validator(mode="after")
    def _both_keys(self) -> VOSpaceTable:
        if bool(self.s3_access_key) != bool(self.s3_secret_key.get_secret_value()):
            raise ValueError("s3_access_key and s3_secret_key need each other")
        return self


def _default_clouds() -> list[CloudTable]:
    return [
        CloudTable(name="east", port=9101, floating_cidr="127.16.0.0/24"),
        CloudTable(name="west", port=9102, floating_cidr="127.17.0.0/24"),
    ]


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
        description="further loopback ports of this computer that machines of embedded clouds reach at their gateway",
    )
    clouds: list[CloudTable] = Field(default_factory=_default_clouds)
    batch: BatchTable = BatchTable()
    htcondor: HTCondorTable = HTCondorTable()
    limits: LimitsTable = LimitsTable()
    mail: MailTable = MailTable()
    oidc: OidcTable = OidcTable()
    audit: AuditTable = AuditTable()
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
