"""What a command of the shell names of the user's own: servers by their commands, and an application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import Invalid

if TYPE_CHECKING:
    from app.servers.from_shell import FromShell


@dataclass(frozen=True, slots=True)
class UserCode:
    """`commands`: values of --command. `app`, `app_dir`, `app_env`: of --app, --app-dir and --app-env."""

    commands: tuple[str, ...] = ()
    app: str | None = None
    app_dir: str | None = None
    app_env: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise Invalid for what belongs to an application that is not given."""
        if self.app is None and (self.app_dir or self.app_env):
            raise Invalid(f"{'--app-dir' if self.app_dir else '--app-env'} needs --app MODULE:CALLABLE.")

    @property
    def is_given(self) -> bool:
        """Whether there is any."""
        return bool(self.commands) or self.app is not None

    @property
    def names(self) -> list[str]:
        """Return the names of the servers that the commands become."""
        from app.servers.commands import command_names

        return command_names(len(self.commands))

    def plan(self, plan: Mapping[str, Any], scenario: str | None) -> dict[str, Any]:
        """Return the plan with requests that a command or an application serves.

        Without a request mix it is `GET /`. Requests by path go to the application if there is one.
        """
        if not self.is_given:
            return dict(plan)
        if not scenario and "work" not in plan:
            plan = {**plan, "work": [{"kind": "http", "params": {"path": "/"}}]}
        if self.app is None:
            return dict(plan)
        groups = [_for_application(group) for group in plan.get("groups", ())]
        return {**_for_application(plan), **({"groups": groups} if groups else {})}

    def refuse_remote(self) -> None:
        """Raise Invalid if anything was given: only a lab of this process may start it."""
        if self.commands:
            raise Invalid("--command starts a process of this shell, so it cannot be combined with --server.")
        if self.app is not None:
            raise Invalid("--app is imported from this machine, so it cannot be combined with --server.")

    def from_shell(self, plan: Mapping[str, Any]) -> FromShell:
        """Return the commands and the application, for the lab. Raises Invalid.

        `plan`: they are ready when they respond to the first path that it requests.
        """
        from app.servers.application import user_application
        from app.servers.commands import user_commands
        from app.servers.from_shell import FromShell

        path = next(_paths(plan), "/")
        return FromShell(
            tuple(user_commands(self.commands, Path.cwd(), path)),
            None if self.app is None else user_application(self.app, self.app_dir or ".", self.app_env, path),
        )


NOTHING = UserCode()


def _for_application(load: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan or load group whose http requests are of the work kind `app`."""
    if "work" not in load:
        return dict(load)
    mix = [{**each, "kind": "app"} if each["kind"] == "http" else each for each in load["work"]]
    return {**load, "work": mix}


def _paths(plan: Mapping[str, Any]) -> Iterator[str]:
    for work in plan.get("work", ()):
        if "path" in work["params"]:
            yield work["params"]["path"]
