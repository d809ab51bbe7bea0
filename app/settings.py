"""Settings of the control plane: environment variables THREADLAB_*, and flags of `threadlab serve`.

`token_file` is another source of `token`: after validation, `token` is the content of the file.
"""

from __future__ import annotations

import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.addresses import WILDCARDS, bracketed, cluster_address, is_loopback

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

TOKEN_CHARACTERS_MIN = 32  # hex digits: 128 bits
TOKEN_LINE_MAX = 4096  # characters


class Settings(BaseSettings):
    """Every setting with its default. Thread-safe: immutable. Raises ValidationError for an invalid value."""

    model_config = SettingsConfigDict(
        env_prefix="THREADLAB_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # the input may be the token
    )

    host: str = Field("127.0.0.1", description="address that the lab listens on; not loopback: needs a token")
    port: int = Field(8000, ge=0, le=65535, description="port that the lab listens on; 0: any free port")
    token: str = Field("", description="access token; `threadlab token` generates one")
    token_file: Path | None = Field(None, description="file whose first line is the access token")
    allowed_hosts: str = Field(
        "localhost,127.0.0.1,[::1]", description="permitted names of the Host header, comma-separated"
    )
    trusted_proxies: str = Field(
        "",
        description="addresses or networks of reverse proxies whose X-Forwarded-For is used, comma-separated",
    )
    root_path: str = Field("", description="path under which a reverse proxy publishes the lab, such as /lab")
    data_dir: Path = Field(Path("data"), description="directory of the history")
    database_url: str = Field("", description="SQLAlchemy URL of the history; default: SQLite in data_dir")
    engine_host: str = Field(
        "127.0.0.1", description="address that engines listen on; not loopback: needs a token"
    )
    engine_ports: str = Field("", description="ports of engines, such as 8101-8110; default: any free port")
    engine_python: str = Field(sys.executable, description="Python interpreter that runs the engines")
    models: Path | None = Field(None, description="directory with further models, one Python file each")
    servers: Path | None = Field(None, description="TOML file with further external servers")
    cluster: str = Field(
        "", description="scheduler of a cluster whose hosts generate load, such as tls://10.0.0.5:8786"
    )
    cluster_certs: Path | None = Field(
        None, description="directory with the certificates of the cluster, by `threadlab cluster certs`"
    )
    max_engines: int = Field(16, ge=1, le=64, description="maximum number of live engines")
    max_connections: int = Field(15000, ge=1, le=100_000, description="maximum connections of a plan")
    max_rate: float = Field(100_000, gt=0, description="maximum rate of a plan in req/s")
    max_duration_s: float = Field(
        600, gt=0, le=3600, description="maximum duration of a plan in seconds, with warm-up"
    )
    load_priority: Literal["auto", "normal"] = Field(
        "auto", description="priority of the load generator; auto: real-time where the system allows it"
    )
    sample_interval_ms: int = Field(100, ge=50, le=5000, description="sampling interval of engines in ms")

    @model_validator(mode="before")
    @classmethod
    def _read_token_file(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("token_file"):
            return {**given, "token_file": None} if isinstance(given, dict) else given
        if given.get("token"):
            raise ValueError("token and token_file are both given (by flag or environment); give one of them")
        return {**given, "token": _first_line(Path(given["token_file"]))}

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: str) -> str:
        if token and _is_weak(token):
            raise ValueError("has fewer than 128 bits; `threadlab token` generates a token")
        return token

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, text: str) -> str:
        path = text.rstrip("/")
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
            raise ValueError(f"{text!r} is not a path such as /lab")
        return path

    @field_validator("cluster")
    @classmethod
    def _check_cluster(cls, text: str) -> str:
        return str(cluster_address(text)) if text else text

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, text: str) -> str:
        for each in filter(None, map(str.strip, text.split(","))):
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(
                    f"{each!r} is not an address or network such as 10.0.0.5 or 10.0.0.0/8"
                ) from None
        return text

    @field_validator("engine_ports")
    @classmethod
    def _check_port_range(cls, text: str) -> str:
        if text:
            low, dash, high = text.partition("-")
            if not (dash and low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):
                raise ValueError(f"{text!r} is not a range such as 8101-8110")
        return text

    @model_validator(mode="after")
    def _require_token_if_exposed(self) -> Settings:
        for name, host in (("host", self.host), ("engine_host", self.engine_host)):
            if not is_loopback(host) and not self.token:
                raise ValueError(
                    f"{name}: {host} is not a loopback address, so other hosts could start processes here; "
                    "set THREADLAB_TOKEN (`threadlab token` generates one)"
                )
        return self

    @property
    def engine_port_range(self) -> range:
        """Ports for engines; empty: any free port."""
        low, _, high = self.engine_ports.partition("-")
        return range(int(low), int(high) + 1) if low else range(0)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses and networks of the trusted reverse proxies."""
        return tuple(filter(None, map(str.strip, self.trusted_proxies.split(","))))

    @property
    def database(self) -> URL:
        """URL of the history. A path is not formatted as a URL, in which `%` and `?` have another meaning."""
        from sqlalchemy.engine import URL, make_url  # here, since commands without a history do not need it

        path = str(self.data_dir / "threadlab.sqlite3")
        return make_url(self.database_url) if self.database_url else URL.create("sqlite", database=path)

    @property
    def hosts(self) -> frozenset[str]:
        """Permitted names of the Host header, in lower case: the allowed ones and the listening address."""
        allowed = {host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip()}
        own = () if self.host in WILDCARDS else (bracketed(self.host).lower(),)
        return frozenset((*allowed, *own))


def _is_weak(token: str) -> bool:
    return len(token) < TOKEN_CHARACTERS_MIN or not token.isascii() or not token.isprintable() or " " in token


def _first_line(file: Path) -> str:
    """Return the token of a file. Raises ValueError if the file is unreadable or the token is too weak."""
    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            token = lines.readline(TOKEN_LINE_MAX).strip()
    except OSError as error:
        raise ValueError(f"token_file: {file} cannot be read: {error.strerror}") from error
    if _is_weak(token):
        problem = "has fewer than 128 bits" if token else "is empty"
        raise ValueError(
            f"token_file: the first line of {file} {problem}; `threadlab token` generates a token"
        )
    return token
