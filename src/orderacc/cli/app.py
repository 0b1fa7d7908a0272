"""The top of the command line: version, help, and what becomes of an error.

Exit codes: 0 done, 1 it failed (the reason is on stderr with its code), 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orderacc._version import __version__
from orderacc.cli.commands import LazyGroup
from orderacc.errors import ConfigError, OrderAccError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HELP = """Watches the hand-off counter and says whether each bag holds what was paid for.

\b
Examples:
  Two simulated counters, live, with the models that ship:
    orderacc demo
  A video, the orders of its till and the truth; then judge it:
    orderacc simulate --seed 7 --orders 6 --out counter
    orderacc try counter/station.mp4 --orders counter/orders.json
  Every configuration error at once; then watch until stopped:
    orderacc check --stations stations.yaml
    orderacc run --stations stations.yaml
"""

app = typer.Typer(
    cls=LazyGroup,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orderacc {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that come before a command."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        argv: Arguments after the program's name; the process's own when None.

    Raises:
        SystemExit: Always, with the exit code.
    """
    command = typer.main.get_command(app)
    failures: list[Exception] = []
    # Tasks fail in groups, and one mistake may fail several of them.
    try:
        command(args=None if argv is None else list(argv), prog_name="orderacc")
    except* (OrderAccError, OSError) as group:
        failures.extend(_leaves(group))
    for line in dict.fromkeys(line for failure in failures for line in describe(failure)):
        print(line, file=sys.stderr)
    sys.exit(1 if failures else 0)


def describe(error: Exception) -> list[str]:
    """Lines for a person: every finding on a line of its own, then the error with its code."""
    if isinstance(error, ConfigError) and error.findings:
        count = len(error.findings)
        return [*map(str, error.findings), f"orderacc: {error.code}: {count} error{'s' if count > 1 else ''}"]
    if isinstance(error, OrderAccError):
        return [f"orderacc: {error.code}: {error.message}"]
    if isinstance(error, OSError) and error.filename:
        return [f"orderacc: {error.strerror}: {error.filename}"]
    return [f"orderacc: {error}"]


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
