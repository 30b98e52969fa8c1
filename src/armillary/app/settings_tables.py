"""The tables of the settings, each a part of `armillary.toml`."""

from __future__ import annotations

import os
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


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
    warm_spare: float = Field(
        default=0.5,
        ge=0,
        description="processors that must have nothing to do before one is made, with the time that others leave; "
        "0: at once, beside whatever runs",
    )

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
    check_images: bool = Field(
        default=True,
        description="look into each image that jobs wait for, so that every worker is asked whether it is one; "
        "the image is fetched once for that, and workers that come sooner are not asked",
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
    lease_seconds: int = Field(
        default=120,
        ge=20,
        description="a job whose machine the schedd cannot reach for this is run again; a schedd that is away for"
        " longer loses what runs",
    )


class LimitsTable(_Table):
    """`[limits]`"""

    requests_per_minute: int = Field(
        default=6000, ge=0, description="that one token may make of a cloud's APIs; 0: no bound"
    )
    sign_ins_per_minute: int = Field(
        default=600, ge=0, description="that one address may make at a cloud; 0: no bound"
    )
    wrong_sign_ins_per_hour: int = Field(
        default=300, ge=0, description="passwords and codes that one address may try in vain; 0: no bound"
    )
    requests_of_strangers_per_hour: int = Field(
        default=100,
        ge=0,
        description="registrations and letters for new passwords that one address may ask for; 0: no bound",
    )
    groups_per_person: int = Field(default=100, ge=0, description="that one person may own")
    certificate_days: int = Field(
        default=30, ge=1, le=366, description="that a client certificate is good for, at most"
    )


class MachinesTable(_Table):
    """`[machines]`"""

    default_days: int = Field(
        default=30,
        ge=0,
        le=3660,
        description="that a machine runs unless somebody says otherwise; 0: without an end",
    )
    longest_days: int = Field(
        default=366, ge=1, le=3660, description="that an end may lie ahead; extending begins anew"
    )
    endless: bool = Field(default=True, description="whether a machine may run without an end")

    @model_validator(mode="after")
    def _sensible(self) -> MachinesTable:
        if self.default_days > self.longest_days or not (self.default_days or self.endless):
            raise ValueError("default_days must be allowed by longest_days and endless")
        return self


class AuditTable(_Table):
    """`[audit]`"""

    days: int = Field(default=365, ge=1, description="that entries of the audit trail are kept")
    entries: int = Field(default=1_000_000, ge=1000, description="of the trail that are kept, at most")


class ProvenanceTable(_Table):
    """`[provenance]`"""

    records: bool = Field(default=True, description="whether each job that ran leaves a signed record")
    accesses: int = Field(
        default=10_000,
        ge=0,
        le=10_000,
        description="reads and writes of one job that its record names, at most",
    )
    hash_gib: int = Field(
        default=16,
        ge=0,
        description="of a larger file in VOSpace that a job has read, its record has the MD5 and no SHA-256, GiB",
    )


class DoiTable(_Table):
    """`[doi]`"""

    endpoint: str = Field(
        default="", description="of DataCite's REST API, such as https://api.datacite.org; empty: no DOIs"
    )
    repository: str = Field(default="", description="the account there, such as ABCD.EFGH")
    password_file: Path | None = Field(default=None, description="holds its password, on one line")
    prefix: str = Field(default="", description="of the DOIs, such as 10.5072")

    @model_validator(mode="after")
    def _is_whole(self) -> DoiTable:
        if self.endpoint and not (self.repository and self.password_file and self.prefix):
            raise ValueError("endpoint needs repository, password_file and prefix")
        return self


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


def default_clouds() -> list[CloudTable]:
    return [
        CloudTable(name="east", port=9101, floating_cidr="127.16.0.0/24"),
        CloudTable(name="west", port=9102, floating_cidr="127.17.0.0/24"),
    ]
