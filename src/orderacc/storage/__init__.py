"""What is kept: the journal (SQLite), the objects, and how long."""

from __future__ import annotations
