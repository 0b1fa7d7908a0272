"""Recordings that were handed in: judged one after the other, and what came of them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.errors import OrderAccError, RequestError
from orderacc.orders import FileOrders
from orderacc.service.video_job import OVER, VideoJob, read_job
from orderacc.storage.records import now_text
from orderacc.telemetry import get_logger
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import TaskStatus

    from orderacc.config import StationConfig
    from orderacc.config.videos import VideosConfig
    from orderacc.domain.verdicts import Verdict
    from orderacc.orders import OrderBook
    from orderacc.service.replaying import Replaying
    from orderacc.service.video_job import VideoState

_log = get_logger(__name__)

FOLDER: Final = "videos"
"""Of recordings in a data directory."""

RECORD: Final = "job.json"
VIDEO: Final = "video"
ORDERS: Final = "orders.json"


class Videos:
    """Keeps recordings in a folder, judges them, and remembers the verdicts.

    Args:
        folder: Where; made when it is needed. What is found there from an earlier time is taken up again.
        config: The section `api.videos`.
        replaying: Judges.
        orders: What was paid for where a recording brings no orders of its own.
        temporary: Whether the folder goes when `run` ends.
    """

    def __init__(
        self, folder: Path, config: VideosConfig, replaying: Replaying, orders: OrderBook, *, temporary: bool = False
    ) -> None:
        self.config = config
        self._folder = folder
        self._replaying = replaying
        self._orders = orders
        self._temporary = temporary
        self._jobs: dict[str, VideoJob] = {}
        self._runs: dict[str, StationConfig] = {}
        self._arrival = asyncio.Event()
        self._scopes: dict[str, anyio.CancelScope] = {}

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Judge what is handed in, one after the other, until cancelled.

        Args:
            task_status: Told when what an earlier process left is known.
        """
        for job in await asyncio.to_thread(self._found):
            self._jobs[job.video_id] = job
        task_status.started()
        try:
            while True:
                waiting = [job for job in self._jobs.values() if job.state == "waiting"]
                if waiting:
                    await self._judge(waiting[0])
                else:
                    self._arrival.clear()
                    await self._arrival.wait()
        finally:
            if self._temporary:
                shutil.rmtree(self._folder, ignore_errors=True)

    # What clients do.

    def room(self) -> None:
        """Make sure that one more may wait.

        Raises:
            RequestError: `unavailable`.
        """
        if sum(job.state == "waiting" for job in self._jobs.values()) >= self.config.waiting:
            raise RequestError("too many recordings wait", code="unavailable", headers={"Retry-After": "10"})

    def new_folder(self) -> tuple[str, Path]:
        """A name for a recording and the folder its files go to. Blocks shortly.

        Raises:
            RequestError: `unavailable` where the disk does not take it.
        """
        video_id = uuid.uuid4().hex
        folder = self._folder / video_id
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            _log.error("video_not_kept", reason=str(error))
            raise RequestError("the disk does not take it", code="unavailable") from error
        return video_id, folder

    async def add(self, video_id: str, name: str, fps: float, duration: float | None) -> VideoJob:
        """Take a recording whose files are in its folder.

        Raises:
            RequestError: `unavailable`.
        """
        self.room()
        size = (await asyncio.to_thread(os.stat, self._folder / video_id / VIDEO)).st_size
        return await self._add(VideoJob(video_id, "upload", name, fps, now_text(), duration, size))

    async def add_run(self, station: StationConfig, name: str, seconds: float) -> VideoJob:
        """Take a camera that is to be watched for a while.

        Args:
            station: Describes it.
            name: What to call it; without credentials.
            seconds: How long.

        Raises:
            RequestError: `unavailable`.
        """
        self.room()
        video_id, _ = await asyncio.to_thread(self.new_folder)
        self._runs[video_id] = station
        return await self._add(VideoJob(video_id, "run", name, station.fps, now_text(), seconds))

    def get(self, video_id: str) -> VideoJob:
        """A recording.

        Raises:
            RequestError: `not_found`.
        """
        job = self._jobs.get(video_id)
        if job is None:
            raise RequestError("there is no such recording", code="not_found")
        return job

    def jobs(self) -> list[VideoJob]:
        """All of them, the newest first."""
        return list(reversed(self._jobs.values()))

    async def cancel(self, video_id: str) -> VideoJob:
        """Judge a recording no further; one that is over stays as it is.

        Raises:
            RequestError: `not_found`.
        """
        job = self.get(video_id)
        await self._stop(job)
        return job

    async def delete(self, video_id: str) -> None:
        """Forget a recording and its verdicts; one that is being judged is cancelled.

        Raises:
            RequestError: `not_found`.
        """
        await self._forget(self.get(video_id))

    async def clear(self) -> None:
        """Forget all that are over, and their verdicts."""
        for job in [job for job in self._jobs.values() if job.state in OVER]:
            await self._forget(job)

    def discard(self, video_id: str) -> None:
        """Forget the files of a recording that was not taken. Blocks shortly."""
        shutil.rmtree(self._folder / video_id, ignore_errors=True)

    # Judging.

    async def _add(self, job: VideoJob) -> VideoJob:
        self._jobs[job.video_id] = job
        await self._record(job)
        self._arrival.set()
        for old in [one for one in self._jobs.values() if one.state in OVER][: max(0, self._surplus)]:
            await self._forget(old)
        return job

    async def _stop(self, job: VideoJob) -> None:
        if job.state not in OVER:
            job.state, job.ended_at = "cancelled", now_text()
            if job.video_id in self._scopes:
                self._scopes[job.video_id].cancel()
            await self._over(job, "cancelled")

    async def _forget(self, job: VideoJob) -> None:
        """Forget a recording, be it that somebody else has done so meanwhile."""
        await self._stop(job)
        self._jobs.pop(job.video_id, None)
        await asyncio.to_thread(self.discard, job.video_id)

    @property
    def _surplus(self) -> int:
        return len(self._jobs) - self.config.keep

    async def _judge(self, job: VideoJob) -> None:
        try:
            with anyio.CancelScope() as scope:
                self._scopes[job.video_id] = scope
                job.state, job.started_at = "running", now_text()
                await self._record(job)
                await self._replay(job)
        except OrderAccError as error:
            await self._failed(job, error.code, redact_text(error.message))
        except Exception as error:  # noqa: BLE001  one recording must not end the judging of others
            _log.error("video_failed", video_id=job.video_id, exc_info=error)
            await self._failed(job, "internal", "something went wrong here; the log has it")
        else:
            if job.state == "running":
                await self._over(job, "done")
        finally:
            self._scopes.pop(job.video_id, None)

    async def _replay(self, job: VideoJob) -> None:
        async def sink(verdict: Verdict) -> None:
            job.verdicts.append(verdict.to_dict())

        def progress(at: float) -> None:
            job.at_s = at

        name = f"video-{job.video_id[:8]}"
        if job.kind == "run":
            station = self._runs.pop(job.video_id).model_copy(update={"id": name})
            await self._replaying.run(station, job.duration_s or 0.0, self._orders, sink=sink, progress=progress)
        else:
            folder = self._folder / job.video_id
            book = await asyncio.to_thread(self._book, folder)
            await self._replaying.video(folder / VIDEO, name, job.fps, book, sink=sink, progress=progress)

    async def _failed(self, job: VideoJob, code: str, message: str) -> None:
        if job.state == "running":
            job.code, job.message = code, message
            await self._over(job, "failed")

    def _book(self, folder: Path) -> OrderBook:
        return FileOrders(folder / ORDERS) if (folder / ORDERS).exists() else self._orders

    async def _over(self, job: VideoJob, state: VideoState) -> None:
        self._runs.pop(job.video_id, None)
        _log.info("video_over", video_id=job.video_id, state=state, verdicts=len(job.verdicts), code=job.code)
        ended_at = job.ended_at or now_text()
        await self._record(replace(job, state=state, ended_at=ended_at))
        await asyncio.to_thread(self._let_go, self._folder / job.video_id)
        # Said when nothing of it is left to do; who cancelled it meanwhile has said so already.
        if job.state not in OVER:
            job.state, job.ended_at = state, ended_at

    # The folder.

    async def _record(self, job: VideoJob) -> None:
        if job.video_id in self._jobs:
            await asyncio.to_thread(self._write, job.video_id, json.dumps(asdict(job), ensure_ascii=False))

    def _let_go(self, folder: Path) -> None:
        for name in (VIDEO, ORDERS):
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError as error:
                _log.error("video_file_stays", path=str(folder / name), reason=str(error))

    def _write(self, video_id: str, text: str) -> None:
        path = self._folder / video_id / RECORD
        try:
            fresh = path.with_suffix(".new")
            fresh.write_text(text, encoding="utf-8", errors="replace")
            fresh.replace(path)
        except OSError as error:
            _log.error("video_record_failed", video_id=video_id, reason=str(error))

    def _found(self) -> list[VideoJob]:
        """What an earlier process left, the oldest first; half uploaded recordings are deleted."""
        found: list[VideoJob] = []
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            job = read_job(folder / RECORD)
            if job is None:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if job.state in OVER:
                self._let_go(folder)  # an earlier process may have ended between its record and this
            else:
                again = job.kind == "upload" and (folder / VIDEO).exists()
                job.state, job.at_s, job.verdicts = ("waiting" if again else "failed"), 0.0, []
                job.code = None if again else "interrupted"
                job.message = None if again else "the process ended meanwhile"
            found.append(job)
        return sorted(found, key=lambda job: job.created_at)
