"""The stations of one process: added, removed, restarted and pointed elsewhere while the others go on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.config.change import changed_station
from orderacc.errors import StationError
from orderacc.service.tending import TendedStation
from orderacc.service.turns import Turns
from orderacc.telemetry.metrics import exposition
from orderacc.telemetry.vlm_metrics import VlmMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskGroup, TaskStatus
    from prometheus_client.registry import Collector

    from orderacc.capture import StationHealth
    from orderacc.config import Config, Source, StationConfig
    from orderacc.service.leftovers import Leftover, Leftovers
    from orderacc.service.looks import LatestLook
    from orderacc.service.pipeline import Pipeline
    from orderacc.service.station import Station
    from orderacc.vlm.statistics import BatcherStatistics


class Builder(Protocol):
    """Makes stations; `StationBuilder` is one."""

    def plan(self, station: StationConfig) -> Callable[[int], Station]:
        """See `StationBuilder.plan`."""
        ...

    def follow(self, config: Config) -> None:
        """See `StationBuilder.follow`."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new configuration changed.

    Attributes:
        added: Stations that were not there before.
        removed: Stations that are no more.
        changed: Stations that look elsewhere or differently now.
        needs_restart: Sections that differ and count from the next start of the process on.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class StationSet:
    """Watches stations that come and go; what happens to one does not touch the others.

    Whatever is done to a station, every order opened at it gets exactly one verdict: one that is open when its station
    is removed, or pointed at another camera, ends as `shutdown`. What is done to one station is done one thing after
    the other, and cannot be cancelled half way. All of it belongs to the event loop.

    Args:
        pipeline: Judges what the stations see.
        builder: Makes stations out of their configuration.
        config: The configuration `run` begins with.
        first_visit: Number of the first visit of every station.
        leftovers: Orders of an earlier process that still need their verdict; they are seen to beside the watching.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        builder: Builder,
        config: Config,
        *,
        first_visit: int = 1,
        leftovers: Leftovers | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._builder = builder
        self._begun_with = self._config = config
        self._watched: dict[str, TendedStation] = {}
        self._first_visit = first_visit
        self._leftovers = leftovers
        self._next_visits: dict[str, int] = {}
        self._group: TaskGroup | None = None
        self._turns = Turns()
        self._departed: dict[str, TendedStation] = {}
        self._changed = anyio.Event()

    async def run(self, *, task_status: TaskStatus[StationSet] = TASK_STATUS_IGNORED) -> None:
        """Watch until every station has ended by itself, or `stop` is called.

        Cameras never end; recordings do. A set from which all stations were removed waits for new ones.

        Args:
            task_status: Told this set when its stations are being watched.

        Raises:
            ConfigError: If a station of the configuration cannot be made; then none is watched.
        """
        plans = await self._plans(self._config, self._config.stations)

        async def watching() -> None:
            async with anyio.create_task_group() as group:
                self._group = group
                try:
                    for station in self._config.stations:
                        self._begin(self._tended(station, plans[station.id]))
                    if self._leftovers is not None:
                        group.start_soon(self._leftovers.bring, self._resume)
                    task_status.started(self)
                    await self._all_ended()
                finally:
                    self._group = None

        await self._pipeline.serve(watching)

    def stop(self) -> None:
        """Let the orders in flight finish, then return from `run`."""
        self._pipeline.stop()

    def ids(self) -> tuple[str, ...]:
        """The stations, in the order they came."""
        return tuple(self._watched)

    def failed(self) -> tuple[str, ...]:
        """Stations that ended because something failed."""
        return tuple(name for name, watched in self._watched.items() if watched.station.state.error is not None)

    def health(self) -> Mapping[str, StationHealth]:
        """How every station is."""
        return MappingProxyType({name: watched.health() for name, watched in self._watched.items()})

    def configuration(self, station_id: str) -> StationConfig:
        """What a station was made from.

        Raises:
            StationError: `no_such_station`.
        """
        return self._find(station_id).config

    def latest(self, station_id: str) -> LatestLook:
        """The newest frame of a station.

        Raises:
            StationError: `no_such_station`.
        """
        return self._find(station_id).station.latest

    def vlm(self) -> BatcherStatistics:
        """How the model's queue and its engines are."""
        return self._pipeline.vlm()

    def metrics(self, *others: Collector) -> bytes:
        """The stations' health and the model's queue as Prometheus reads it (text format 0.0.4).

        Args:
            others: What else there is to tell.
        """
        return exposition(self.health().values, VlmMetrics(self._pipeline.vlm), *others)

    async def add(self, config: StationConfig) -> None:
        """Begin to watch one more station.

        Raises:
            StationError: `station_exists`, or `not_running` when the set has ended.
            ConfigError: If it cannot be made.
        """
        async with self._operation(self._turns.of(config.id)):
            if config.id in self._watched:
                raise StationError(f"there is a station {config.id!r} already", code="station_exists")
            plan = await asyncio.to_thread(self._builder.plan, config)
            self._begin(self._tended(config, plan))

    async def remove(self, station_id: str) -> None:
        """Watch a station no more; returns when its camera has been let go.

        Raises:
            StationError: `no_such_station`, or `not_running`.
        """
        async with self._operation(self._turns.of(station_id)):
            await self._drop(self._find(station_id))

    async def restart(self, station_id: str) -> None:
        """Open a station's camera anew, at once; an order that is open stays open. A recording starts over.

        What the camera shows then is taken for the right view.

        Raises:
            StationError: `no_such_station`, or `not_running`.
        """
        async with self._operation(self._turns.of(station_id)):
            watched = self._find(station_id)
            if not watched.reopen():
                await self._replace(watched, watched.config, watched.plan)

    async def repoint(self, station_id: str, source: Source) -> None:
        """Let a station look at another camera. Its counters begin anew, its visits go on being counted.

        Args:
            station_id: The station.
            source: The other camera.

        Raises:
            StationError: `no_such_station`, or `not_running`.
            ConfigError: If the station cannot be made with it; then the old one goes on.
        """
        await self.change(station_id, {"source": source})

    async def change(self, station_id: str, values: Mapping[str, Any]) -> None:
        """Let a station have other settings, as `repoint` does for its camera.

        Args:
            station_id: The station.
            values: Fields of its configuration, apart from `id`.

        Raises:
            StationError: `no_such_station`, or `not_running`.
            ConfigError: If the station cannot be made so; then it goes on as it is.
        """
        async with self._operation(self._turns.of(station_id)):
            watched = self._find(station_id)
            config = changed_station(watched.config, values)
            await self._replace(watched, config, await asyncio.to_thread(self._builder.plan, config))

    async def apply(self, config: Config) -> Changes:
        """Make the stations those of another configuration; only what differs is touched.

        Stations added, removed or pointed elsewhere by other means since are brought in line too. POS orders are taken
        from where the new configuration says. Everything else counts from the next start on and is named.

        Raises:
            StationError: `not_running`.
            ConfigError: If a station cannot be made, or the orders' file is bad; then nothing has changed.
        """
        wanted = {station.id: station for station in config.stations}
        async with self._operation(self._turns.of_all(lambda: {*wanted, *self._watched})):
            new = [station for name, station in wanted.items() if name not in self._watched]
            gone = [watched for name, watched in self._watched.items() if name not in wanted]
            other = [
                watched for name, watched in self._watched.items() if wanted.get(name, watched.config) != watched.config
            ]
            try:
                plans = await self._plans(config, [*new, *(wanted[watched.config.id] for watched in other)])
                added = [self._tended(station, plans[station.id]) for station in new]
            except Exception:  # whatever it was: what has not begun must not be followed
                await asyncio.to_thread(self._builder.follow, self._config)
                raise
            self._config = config
            # Cameras are let go side by side: one that hangs holds up nobody but itself.
            async with anyio.create_task_group() as group:
                for watched in gone:
                    group.start_soon(self._drop, watched)
                for watched in other:
                    name = watched.config.id
                    group.start_soon(self._replace, watched, wanted[name], plans[name])
                for watched in added:
                    self._begin(watched)
        return Changes(
            added=tuple(station.id for station in new),
            removed=tuple(watched.config.id for watched in gone),
            changed=tuple(watched.config.id for watched in other),
            needs_restart=_differences(self._begun_with, config),
        )

    @asynccontextmanager
    async def _operation(self, turn: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        """While the set runs, and to the end: a station half pointed elsewhere would be lost."""
        try:
            async with turn:
                if self._group is None:
                    raise StationError("the stations are not being watched", code="not_running")
                with anyio.CancelScope(shield=True):
                    yield
        finally:
            self._changed.set()

    def _find(self, station_id: str) -> TendedStation:
        if station_id not in self._watched:
            raise StationError(f"there is no station {station_id!r}", code="no_such_station")
        return self._watched[station_id]

    async def _plans(self, config: Config, stations: Sequence[StationConfig]) -> Mapping[str, Callable[[int], Station]]:
        """Make sure that a configuration works before anything is touched."""

        def plan() -> Mapping[str, Callable[[int], Station]]:
            self._builder.follow(config)
            return {station.id: self._builder.plan(station) for station in stations}

        return await asyncio.to_thread(plan)

    def _tended(
        self, config: StationConfig, plan: Callable[[int], Station], before: TendedStation | None = None
    ) -> TendedStation:
        before = before or self._departed.get(config.id)
        return TendedStation(config, plan, self._next_visits.get(config.id, self._first_visit), before)

    def _begin(self, watched: TendedStation) -> None:
        if self._group is None:
            return  # stopped meanwhile: nothing is watched any more
        self._departed.pop(watched.config.id, None)
        self._watched[watched.config.id] = watched
        self._group.start_soon(self._tend, watched)

    async def _resume(self, left: Leftover) -> None:
        watched = self._watched.get(left.evidence.station_id)
        await self._pipeline.resume(None if watched is None else watched.station, left)

    async def _drop(self, watched: TendedStation) -> None:
        await watched.end()
        del self._watched[watched.config.id]
        self._departed = {name: each for name, each in self._departed.items() if each.stuck}
        if watched.stuck:
            self._departed[watched.config.id] = watched

    async def _replace(self, watched: TendedStation, config: StationConfig, plan: Callable[[int], Station]) -> None:
        await watched.end()
        self._begin(self._tended(config, plan, watched))

    async def _tend(self, watched: TendedStation) -> None:
        try:
            await watched.run(self._pipeline)
        finally:
            self._next_visits[watched.config.id] = watched.next_visit
            self._changed.set()

    async def _all_ended(self) -> None:
        # While something is done to a station, it may have ended only to begin again.
        while self._turns.busy or not self._watched or not all(watched.over for watched in self._watched.values()):
            self._changed = anyio.Event()
            await self._changed.wait()


def _differences(before: Config, now: Config) -> tuple[str, ...]:
    """Sections that differ, apart from those that are taken up while running."""
    sections = set(type(now).model_fields) - {"stations", "orders"}
    return tuple(sorted(name for name in sections if getattr(before, name) != getattr(now, name)))
