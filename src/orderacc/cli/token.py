"""`orderacc token`: who may ask the box for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Tokens that the HTTP side lets in.")

StationsFile = Annotated[
    Path, typer.Option("--stations", help="The configuration, e.g. stations.yaml.", exists=True, dir_okay=False)
]


@app.command()
def create(
    stations: StationsFile,
    name: Annotated[str, typer.Option(help="Who bears it, e.g. till-1.")],
    scope: Annotated[list[str], typer.Option(help="read, submit or admin; may be given more than once.")],
    days: Annotated[float | None, typer.Option(help="Days until it ends; it never does by default.", min=0.001)] = None,
) -> None:
    """Make a token and print it, this once: the box keeps a fingerprint of it only.

    A running daemon takes it up by itself.

    Example: orderacc token create --stations stations.yaml --name till-1 --scope submit
    """
    from orderacc.api.routes import Scope
    from orderacc.api.tokens import create_token

    unknown = [each for each in scope if each not in set(Scope)]
    if unknown:
        raise typer.BadParameter(f"should be read, submit or admin, not {unknown[0]!r}", param_hint="--scope")
    if not (name.strip() and name.isprintable()):
        raise typer.BadParameter("should be text on one line, not empty", param_hint="--name")
    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    token, text = create_token(_file(stations), name, frozenset(map(Scope, scope)), ends)
    typer.echo(f"token {token.token_id} for {name}; it is shown this once:", err=True)
    print(text)


@app.command("list")
def list_tokens(stations: StationsFile) -> None:
    """List the tokens, without what would let anybody in.

    Example: orderacc token list --stations stations.yaml
    """
    from orderacc.api.tokens import read_tokens

    for token in read_tokens(_file(stations)):
        ends = f"  ends {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else ""
        print(
            f"{token.token_id}  {token.name:<20} {','.join(sorted(token.scopes)):<20} {token.created_at:%Y-%m-%d}{ends}"
        )


@app.command()
def revoke(stations: StationsFile, token_id: Annotated[str, typer.Argument(help="As `token list` has it.")]) -> None:
    """Let a token in no more, at once.

    Example: orderacc token revoke --stations stations.yaml 1f3a99c0
    """
    from orderacc.api.tokens import read_tokens, write_tokens

    path = _file(stations)
    tokens = read_tokens(path)
    kept = [token for token in tokens if token.token_id != token_id]
    if len(kept) == len(tokens):
        raise typer.BadParameter(f"there is no token {token_id!r}; see orderacc token list", param_hint="TOKEN_ID")
    write_tokens(path, kept)


def _file(stations: Path) -> Path:
    from orderacc.config import load_config
    from orderacc.errors import ConfigError, Finding

    config = load_config(stations)
    if config.api is None or config.api.tokens is None:
        message = "names no file for tokens: add api: {tokens: tokens.json}"
        raise ConfigError([Finding(str(stations), 0, 0, "api.tokens", message)])
    return config.api.tokens
