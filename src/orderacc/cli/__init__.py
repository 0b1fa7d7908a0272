"""The `orderacc` command."""

from __future__ import annotations

from orderacc.cli.app import main

__all__ = ["main"]
