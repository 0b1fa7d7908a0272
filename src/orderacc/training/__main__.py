"""`python -m orderacc.training vlm ... | detector ... | art OUT_DIR`."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Hand over to a subcommand; returns the exit status."""
    command = argv[0] if argv else ""
    if command == "vlm":
        from orderacc.training import vlm

        return vlm.main(argv[1:])
    if command == "detector":
        from orderacc.training import detector

        return detector.main(argv[1:])
    if command == "art":
        from pathlib import Path

        from orderacc.training import art

        if len(argv) == 2:
            art.draw_sheets(Path(argv[1]))
            return 0
    print("usage: python -m orderacc.training {vlm,detector} --help | art OUT_DIR", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
