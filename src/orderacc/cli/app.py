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
    from collections.abc import Sequence

HELP = """Watches the hand-off counter and says whether each bag holds what was paid for.

Examples:

  orderacc demo                                            two simulated counters, live, with the models that ship

  orderacc simulate --seed 7 --orders 6 --out counter      a video, the POS orders and the truth

  orderacc try counter/station.mp4 --orders counter/orders.json      judge one recorded video

  orderacc check --stations stations.yaml                  every configuration error at once

  orderacc run --stations stations.yaml                    watch until stopped
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


def report(error: OrderAccError) -> None:
    """Print an error on stderr: every finding on a line of its own, then the error's code."""
    if isinstance(error, ConfigError) and error.findings:
        for finding in error.findings:
            print(finding, file=sys.stderr)
        count = len(error.findings)
        print(f"orderacc: {error.code}: {count} error{'s' if count > 1 else ''}", file=sys.stderr)
    else:
        print(f"orderacc: {error.code}: {error.message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        argv: Arguments after the program's name; the process's own when None.

    Raises:
        SystemExit: Always, with the exit code.
    """
    command = typer.main.get_command(app)
    try:
        command(args=None if argv is None else list(argv), prog_name="orderacc")
    except OrderAccError as error:
        report(error)
        sys.exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"orderacc: {error.strerror or error}{where}", file=sys.stderr)
        sys.exit(1)
