"""Getting frames: where they come from, when they were taken, and how they reach the event loop."""

from __future__ import annotations

from orderacc.capture.file import VideoFileSource, VideoInfo, probe_video
from orderacc.capture.loop import LoopedSource
from orderacc.capture.mailbox import Delivery
from orderacc.capture.reader import FrameReader, ReaderStats
from orderacc.capture.source import FrameSource, SourceStats

__all__ = [
    "Delivery",
    "FrameReader",
    "FrameSource",
    "LoopedSource",
    "ReaderStats",
    "SourceStats",
    "VideoFileSource",
    "VideoInfo",
    "probe_video",
]
