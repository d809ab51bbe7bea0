"""Settings: environment THREADLAB_* and the flags of `threadlab serve` of the same names. One place.

`token_file` is another way to give `token`: once validated, the token of the file is `token`.
"""

from __future__ import annotations

import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.addresses import WILDCARDS, bracketed, is_loopback

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

TOKEN_CHARACTERS = 32  # of hex: 128 bits
TOKEN_LINE_MAX = 4096


class Settings(BaseSettings):
    """Every setting of the control plane, with its default."""

    model_config = SettingsConfigDict(
        env_prefix="THREADLAB_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # which may be the token
    )

    host: str = Field(
        "127.0.0.1", description="address to listen on; other than loopback only with an access token"
    )
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 for any free port")
    token: str = Field("", description="access token; `threadlab token` makes one")
    token_file: Path | None = Field(None, description="file whose first line is the access token")
    allowed_hosts: str = Field(
        "localhost,127.0.0.1,[::1]", description="accepted Host names, separated by commas"
    )
    trusted_proxies: str = Field(
        "",
        description="reverse proxies whose X-Forwarded-For is trusted: addresses or networks, separated by commas",
    )
    root_path: str = Field("", description="path under which a reverse proxy serves the lab, such as /lab")
    data_dir: Path = Field(Path("data"), description="directory of the run history")
    database_url: str = Field(
        "", description="SQLAlchemy URL of the run history, instead of SQLite in the data directory"
    )
    engine_host: str = Field(
        "127.0.0.1",
        description="address that engines listen on; other than loopback only with an access token",
    )
    engine_ports: str = Field(
        "", description="ports that engines listen on, such as 8101-8110, instead of any free port"
    )
    engine_python: str = Field(sys.executable, description="Python interpreter that runs the engines")
    max_engines: int = Field(16, ge=1, le=64, description="maximum number of running engines")
    max_connections: int = Field(15000, ge=1, le=100_000, description="maximum connections of a plan")
    max_rate: float = Field(100_000, gt=0, description="maximum requests per second of a plan")
    max_duration_s: float = Field(
        600, gt=0, le=3600, description="maximum seconds of a plan, warm-up included"
    )
    load_priority: Literal["auto", "normal"] = Field(
        "auto", description="priority of the load generator; auto: real-time where the OS allows it"
    )
    sample_interval_ms: int = Field(
        100, ge=50, le=5000, description="milliseconds between two samples of the engines"
    )

    @model_validator(mode="before")
    @classmethod
    def _token_of_file(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("token_file"):
            return {**given, "token_file": None} if isinstance(given, dict) else given
        if given.get("token"):
            raise ValueError("token and token_file are both given (by flag or environment); give one of them")
        return {**given, "token": _first_line(Path(given["token_file"]))}

    @field_validator("token")
    @classmethod
    def _hard_to_guess(cls, token: str) -> str:
        if token and _is_weak(token):
            raise ValueError("has fewer than 128 bits; `threadlab token` makes a good one")
        return token

    @field_validator("root_path")
    @classmethod
    def _a_path(cls, text: str) -> str:
        path = text.rstrip("/")
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
            raise ValueError(f"{text!r} is not a path such as /lab")
        return path

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, text: str) -> str:
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
    def _a_range(cls, text: str) -> str:
        if text:
            low, dash, high = text.partition("-")
            if not (dash and low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):
                raise ValueError(f"{text!r} is not a range such as 8101-8110")
        return text

    @model_validator(mode="after")
    def _exposed_only_with_token(self) -> Settings:
        for name, host in (("host", self.host), ("engine_host", self.engine_host)):
            if not is_loopback(host) and not self.token:
                raise ValueError(
                    f"{name}: {host} is not a loopback address, and whoever reaches it could start processes here; "
                    "set THREADLAB_TOKEN (`threadlab token` makes one)"
                )
        return self

    @property
    def engine_port_range(self) -> range:
        """The ports to choose from; empty: any."""
        low, _, high = self.engine_ports.partition("-")
        return range(int(low), int(high) + 1) if low else range(0)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The reverse proxies that are trusted, as they were given."""
        return tuple(filter(None, map(str.strip, self.trusted_proxies.split(","))))

    @property
    def database(self) -> URL:
        """Where runs are kept. Of a path no URL is made as text: `%` and `?` mean something else there."""
        from sqlalchemy.engine import (
            URL,
            make_url,
        )  # imported here, as commands without a history start without it

        path = str(self.data_dir / "threadlab.sqlite3")
        return make_url(self.database_url) if self.database_url else URL.create("sqlite", database=path)

    @property
    def hosts(self) -> frozenset[str]:
        """The Host names that the lab answers to: those allowed, and the address that it listens on."""
        named = {host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip()}
        own = () if self.host in WILDCARDS else (bracketed(self.host).lower(),)
        return frozenset((*named, *own))


def _is_weak(token: str) -> bool:
    return len(token) < TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token


def _first_line(file: Path) -> str:
    """The token that a file holds. Raises ValueError where it cannot be read, or holds none that is good enough."""
    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            token = lines.readline(TOKEN_LINE_MAX).strip()
    except OSError as error:
        raise ValueError(f"token_file: {file} cannot be read: {error.strerror}") from error
    if _is_weak(token):
        what = "has fewer than 128 bits" if token else "is empty"
        raise ValueError(f"token_file: the first line of {file} {what}; `threadlab token` makes a good token")
    return token
