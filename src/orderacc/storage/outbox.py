"""What is still to be told to the outside: written with the verdict, told at least once, in order per station."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from orderacc.storage.records import written

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from orderacc.storage.database import Database
    from orderacc.storage.records import OutboxMessage

OutboxState: TypeAlias = Literal["pending", "delivered", "dead"]

LONGEST_ERROR: Final = 500
"""Characters kept of what a receiver complained about."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message in the outbox.

    Attributes:
        id: Grows with every message.
        sink: Whom.
        station_id: Messages of one station to one sink are told in order.
        key: Unique per sink.
        body: JSON values.
        created_at: Seconds since 1970.
        attempts: How often it was tried.
        next_at: When to try next, seconds since 1970.
        state: What became of it.
        settled_at: When it was delivered or given up, seconds since 1970; None while it is pending.
        last_error: Why the last attempt failed, or None.
    """

    id: int
    sink: str
    station_id: str
    key: str
    body: dict[str, Any]
    created_at: float
    attempts: int
    next_at: float
    state: OutboxState
    settled_at: float | None
    last_error: str | None


def add_messages(
    connection: sqlite3.Connection, messages: Iterable[OutboxMessage], verdict_id: str | None = None
) -> None:
    """Add messages, about a verdict, within the caller's transaction; one whose key is there already is that one."""
    now = time.time()
    connection.executemany(
        "INSERT INTO outbox (sink, station_id, key, body, created_at, next_at, verdict_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sink, key) DO NOTHING",
        [(one.sink, one.station_id, one.key, written(one.body), now, now, verdict_id) for one in messages],
    )


class Outbox:
    """The outbox of a journal.

    Args:
        database: The journal's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, messages: Sequence[OutboxMessage]) -> None:
        """Add messages that go with nothing else.

        Raises:
            StorageError: If they were not kept.
        """
        await self._database.write(lambda connection: add_messages(connection, messages))

    async def due(self, sink: str, now: float, limit: int = 100) -> list[OutboxEntry]:
        """What to tell now, oldest first.

        A station's messages wait behind its oldest pending one: they are due when that is. Tell them in this order, and
        no further one of a station after one that failed.

        Args:
            sink: Whom.
            now: Seconds since 1970.
            limit: Most messages.
        """
        return await self._rows(
            "WITH heads AS (SELECT station_id, min(id) AS id FROM outbox WHERE sink = :sink AND state = 'pending'"
            " GROUP BY station_id),"
            " ready AS (SELECT heads.station_id FROM heads JOIN outbox USING (id) WHERE next_at <= :now)"
            " SELECT {columns} FROM outbox WHERE sink = :sink AND state = 'pending'"
            " AND station_id IN (SELECT station_id FROM ready) ORDER BY id LIMIT :limit",
            {"sink": sink, "now": now, "limit": limit},
        )

    async def next_due(self, sink: str) -> float | None:
        """When something is due next, seconds since 1970; None while nothing is pending."""

        def work(connection: sqlite3.Connection) -> float | None:
            (soonest,) = connection.execute(
                "SELECT min(next_at) FROM outbox WHERE id IN (SELECT min(id) FROM outbox"
                " WHERE sink = ? AND state = 'pending' GROUP BY station_id)",
                (sink,),
            ).fetchone()
            return None if soonest is None else float(soonest)

        return await self._database.read(work)

    async def backlog(self, sink: str) -> tuple[int, float | None]:
        """How many messages are pending, and when the oldest of them was written, seconds since 1970."""

        def work(connection: sqlite3.Connection) -> tuple[int, float | None]:
            # Out of the index alone; behind every body read for its time would be as much to read as the outbox holds.
            count, first = connection.execute(
                "SELECT count(*), min(id) FROM outbox WHERE sink = ? AND state = 'pending'", (sink,)
            ).fetchone()
            oldest = connection.execute("SELECT created_at FROM outbox WHERE id = ?", (first,)).fetchone()
            return int(count), oldest and oldest[0]

        return await self._database.read(work)

    async def delivered(self, message_id: int) -> None:
        """It has arrived. A power cut may undo this: then it is told again, under the same key."""
        await self._settle(message_id, "delivered", None)

    async def failed(self, message_id: int, next_at: float, error: str) -> None:
        """It has not arrived.

        Args:
            message_id: Which.
            next_at: When to try again, seconds since 1970.
            error: Why.
        """
        await self._change(
            "UPDATE outbox SET attempts = attempts + 1, next_at = ?, last_error = ? WHERE id = ? AND state = 'pending'",
            (next_at, error[:LONGEST_ERROR], message_id),
        )

    async def dead(self, message_id: int, error: str) -> None:
        """It is given up; `replay` takes it up again."""
        await self._settle(message_id, "dead", error[:LONGEST_ERROR])

    async def replay(
        self,
        sink: str,
        *,
        ids: Sequence[int] = (),
        state: OutboxState = "dead",
        since: float | None = None,
    ) -> int:
        """Tell messages again, from now on and under their old keys.

        Whoever asks for this says that the receiver is well: what waits for it by itself need wait no longer either.

        Args:
            sink: Whom.
            ids: These only.
            state: In which they are: `dead`, or `delivered` for a receiver that has lost them.
            since: Created at or after, seconds since 1970.

        Returns:
            How many.
        """
        clauses, values = _clauses(sink, state, since)
        if ids:
            clauses.append(f"id IN ({', '.join('?' * len(ids))})")
            values += ids
        again = "state = 'pending', attempts = 0, settled_at = NULL, next_at = ?"
        chosen = f"UPDATE outbox SET {again} WHERE {' AND '.join(clauses)}"  # noqa: S608  all ours, values are bound

        def work(connection: sqlite3.Connection) -> int:
            now = time.time()
            count = connection.execute(chosen, (now, *values)).rowcount
            connection.execute(
                "UPDATE outbox SET next_at = ? WHERE sink = ? AND state = 'pending' AND next_at > ?", (now, sink, now)
            )
            connection.execute(
                "INSERT INTO facts (name, value) VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = value + 1",
                (_REPLAYS.format(sink),),
            )
            return count

        return await self._database.write(work)

    async def replays(self, sink: str) -> int:
        """How often a replay was asked for, by whatever process."""

        def work(connection: sqlite3.Connection) -> int:
            known = connection.execute("SELECT value FROM facts WHERE name = ?", (_REPLAYS.format(sink),)).fetchone()
            return int(known[0]) if known else 0

        return await self._database.read(work)

    async def log(
        self,
        sink: str | None = None,
        *,
        state: OutboxState | None = None,
        since: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[OutboxEntry]:
        """Messages and what became of them, newest first.

        Args:
            sink: Of this one only.
            state: In this state only.
            since: Created at or after, seconds since 1970.
            before: With smaller ids only: where the last page ended.
            limit: Most messages.
        """
        clauses, values = _clauses(sink, state, since)
        if before is not None:
            clauses.append("id < ?")
            values.append(before)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        statement = f"SELECT {{columns}} FROM outbox {where} ORDER BY id DESC LIMIT ?"  # noqa: S608  all ours
        return await self._rows(statement, (*values, limit))

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many messages there are, by sink and state."""

        def work(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
            rows = connection.execute("SELECT sink, state, count(*) FROM outbox GROUP BY sink, state")
            return {(sink, state): count for sink, state, count in rows}

        return await self._database.read(work)

    async def _settle(self, message_id: int, state: OutboxState, error: str | None) -> None:
        await self._change(
            "UPDATE outbox SET state = ?, attempts = attempts + 1, settled_at = ?, last_error = ?"
            " WHERE id = ? AND state = 'pending'",
            (state, time.time(), error, message_id),
        )

    async def _change(self, statement: str, values: Sequence[object]) -> None:
        await self._database.write(lambda connection: connection.execute(statement, values), durable=False)

    async def _rows(self, statement: str, values: Sequence[object] | dict[str, object]) -> list[OutboxEntry]:
        def work(connection: sqlite3.Connection) -> list[OutboxEntry]:
            return [_entry(row) for row in connection.execute(statement.format(columns=_COLUMNS), values)]

        return await self._database.read(work)


_REPLAYS: Final = "replays:{}"
"""Name of the fact that counts a sink's replays."""

_COLUMNS: Final = "id, sink, station_id, key, body, created_at, attempts, next_at, state, settled_at, last_error"


def _entry(row: Sequence[Any]) -> OutboxEntry:
    message_id, sink, station_id, key, body, *rest = row
    return OutboxEntry(message_id, sink, station_id, key, json.loads(body), *rest)


def _clauses(sink: str | None, state: OutboxState | None, since: float | None) -> tuple[list[str], list[Any]]:
    given = {"sink = ?": sink, "state = ?": state, "created_at >= ?": since}
    kept = {clause: value for clause, value in given.items() if value is not None}
    return list(kept), list(kept.values())
