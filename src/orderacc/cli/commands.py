"""The table of commands, each loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

COMMAND_MODULES: Final = {
    "demo": "orderacc.cli.demo",
    "try": "orderacc.cli.try_",
    "run": "orderacc.cli.run",
    "check": "orderacc.cli.check",
    "probe": "orderacc.cli.probe",
    "models": "orderacc.cli.models",
    "menu": "orderacc.cli.menu",
    "judge": "orderacc.cli.judge",
    "simulate": "orderacc.cli.simulate",
    "eval": "orderacc.cli.eval",
    "serve-vlm": "orderacc.cli.serve_vlm",
    "backup": "orderacc.cli.backup",
    "export": "orderacc.cli.export",
    "purge": "orderacc.cli.purge",
    "recall": "orderacc.cli.recall",
    "notify": "orderacc.cli.notify",
    "token": "orderacc.cli.token",
}
"""Command name to module, in the order `--help` lists them. Each module has a `typer.Typer` named `app`: with one
command it is that command, with several it is a group. Such a module imports what is heavy inside its functions."""


class LazyCommands(Mapping[str, Any]):
    """Commands by name; looking one up imports its module, listing the names imports nothing."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = dict(modules)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self._loaded:
            self._loaded[name] = _command(name, import_module(self._modules[name]).app)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def _command(name: str, app: typer.Typer) -> object:
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(app))
    command.name = name
    # These two are for programs of their own; here the command is a part of one.
    command.params = [
        option for option in command.params if option.name not in {"install_completion", "show_completion"}
    ]
    command.rich_markup_mode = None
    return command


class LazyGroup(TyperGroup):
    """The top-level group: `orderacc try` imports what `try` needs and nothing of the other commands."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  typer's own signature
        super().__init__(**settings)
        self.commands = cast("MutableMapping[str, Any]", LazyCommands(COMMAND_MODULES))  # the group only reads it

    def list_commands(self, ctx: object) -> list[str]:
        """Names in the table's order."""
        del ctx
        return list(self.commands)
