"""The configuration of one box: stations.yaml as values, or every mistake in it at once."""

from __future__ import annotations

from orderacc.config.api import ApiConfig, CameraRulesConfig, TlsConfig
from orderacc.config.load import finding_in, json_schema, load_config, load_judging
from orderacc.config.notify import MqttConfig, NotifyConfig, WebhookConfig
from orderacc.config.orders import OrdersConfig, PollConfig, StationOrdersConfig
from orderacc.config.scaling import ScalingConfig
from orderacc.config.schema import (
    CaptureConfig,
    Config,
    DeviceSource,
    FileSource,
    HttpSource,
    JudgingConfig,
    MenuConfig,
    ModelsConfig,
    PictureConfig,
    ResultsConfig,
    RtspSource,
    SelectionConfig,
    SimulatorSource,
    Source,
    StationConfig,
    TelemetryConfig,
    TrackingConfig,
)
from orderacc.config.secrets import SecretText
from orderacc.config.storage import ClipsConfig, FolderObjects, S3Objects, SpoolConfig, StorageConfig
from orderacc.config.validation import SemanticServiceConfig, ValidationConfig
from orderacc.config.vlm import RemoteVlmConfig, VlmConfig

__all__ = [
    "ApiConfig",
    "CameraRulesConfig",
    "CaptureConfig",
    "ClipsConfig",
    "Config",
    "DeviceSource",
    "FileSource",
    "FolderObjects",
    "HttpSource",
    "JudgingConfig",
    "MenuConfig",
    "ModelsConfig",
    "MqttConfig",
    "NotifyConfig",
    "OrdersConfig",
    "PictureConfig",
    "PollConfig",
    "RemoteVlmConfig",
    "ResultsConfig",
    "RtspSource",
    "S3Objects",
    "ScalingConfig",
    "SecretText",
    "SelectionConfig",
    "SemanticServiceConfig",
    "SimulatorSource",
    "Source",
    "SpoolConfig",
    "StationConfig",
    "StationOrdersConfig",
    "StorageConfig",
    "TelemetryConfig",
    "TlsConfig",
    "TrackingConfig",
    "ValidationConfig",
    "VlmConfig",
    "WebhookConfig",
    "finding_in",
    "json_schema",
    "load_config",
    "load_judging",
]
