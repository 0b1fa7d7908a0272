"""Getting frames: where they come from, when they were taken, and how they reach the event loop."""

from __future__ import annotations

from orderacc.capture.device import DeviceSource
from orderacc.capture.failures import REMEDIES
from orderacc.capture.file import VideoFileSource, VideoInfo, probe_video
from orderacc.capture.health import LastError, StationHealth
from orderacc.capture.life import Move, StationPhase
from orderacc.capture.loop import LoopedSource
from orderacc.capture.mailbox import Delivery
from orderacc.capture.policy import CapturePolicy
from orderacc.capture.reader import FrameReader, ReaderStats
from orderacc.capture.source import FrameSource, SourceStats, StreamInfo
from orderacc.capture.stream import StreamSource
from orderacc.capture.supervised import SupervisedCapture

__all__ = [
    "REMEDIES",
    "CapturePolicy",
    "Delivery",
    "DeviceSource",
    "FrameReader",
    "FrameSource",
    "LastError",
    "LoopedSource",
    "Move",
    "ReaderStats",
    "SourceStats",
    "StationHealth",
    "StationPhase",
    "StreamInfo",
    "StreamSource",
    "SupervisedCapture",
    "VideoFileSource",
    "VideoInfo",
    "probe_video",
]
