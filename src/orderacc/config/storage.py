"""The section `storage` of stations.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import Interval, OutputFile, Section

Upload: TypeAlias = Literal["all", "mismatches", "none"]
"""Whose evidence is stored: every order's, that of orders which are not accurate for sure, or nobody's."""

BucketName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]


class FolderObjects(Section):
    """Evidence in a folder of this machine."""

    type: Literal["folder"]
    """A folder of this machine."""
    path: OutputFile | None = None
    """The folder; `objects` in `data_dir` when left out."""


class S3Objects(Section):
    """Evidence in S3 or whatever speaks its language, such as MinIO, Ceph and Swift."""

    type: Literal["s3"]
    """S3, MinIO, Ceph, Swift."""
    bucket: BucketName
    """The bucket. The kinds of objects are the prefixes `frames`, `selected` and `results` in it."""
    buckets: dict[Literal["frames", "selected", "results"], BucketName] = Field(default={})
    """Buckets of their own for some kinds."""
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$", max_length=128)] = ""
    """Stands before every key, e.g. `store-17/`."""
    create_buckets: bool = False
    """Make buckets that are not there."""
    endpoint: Annotated[SecretText, url_with("http", "https")] | None = None
    """Where it is, `http://host:9000`; Amazon's own when left out."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "us-east-1"
    """Its region."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket's name stands in the path or in the host's name; `auto` says it in the path where there is an
    `endpoint`."""
    access_key: SecretText | None = None
    """Who asks; `file:PATH` or `${NAME}` keep it elsewhere. When left out, the usual places are searched: environment,
    `~/.aws`, the machine's role."""
    secret_key: Annotated[SecretText | None, Field(validate_default=True)] = None
    """The secret to it."""
    ca_file: OutputFile | None = None
    """Certificates to trust instead of the system's."""
    timeout_sec: Interval = 10.0
    """Time without an answer after which an attempt has failed."""
    connect_timeout_sec: Interval = 3.0
    """Time connecting may take."""
    part_mb: Annotated[int, Field(ge=5, le=512)] = 8
    """Larger objects go up in parts of so many MiB."""

    @field_validator("secret_key")
    @classmethod
    def _both_or_none(cls, secret: SecretText | None, info: ValidationInfo) -> SecretText | None:
        if (secret is None) != (info.data.get("access_key") is None):
            raise PydanticCustomError("half_a_key", "access_key and secret_key should both be there, or neither")
        return secret


class ClipsConfig(Section):
    """Short videos of orders, for people."""

    fps: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Pictures a second."""
    width: Annotated[int, Field(ge=64, le=1920)] = 480
    """Pixels; the height follows."""
    max_sec: Annotated[float, Field(ge=1, le=300)] = 60.0
    """Of a longer order the end is kept."""


class SpoolConfig(Section):
    """Objects on their way to the store, kept on this machine's disk until they are there."""

    max_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    """Most MB that may wait; then further evidence is not stored."""
    puts_at_once: Annotated[int, Field(ge=1, le=32)] = 6
    """Objects put at a time."""
    retry_max_sec: Interval = 30.0
    """Longest wait between attempts while the store does not answer."""


class KeepConfig(Section):
    """How long and how much of one kind."""

    days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    """Older ones go; none by age when left out."""
    max_mb: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """The oldest go when all of them take more; none by size when left out."""


class RetentionConfig(Section):
    """How long things are kept. What is still to be judged or reviewed stays."""

    frames: KeepConfig = KeepConfig(days=30)
    """Frames that orders were judged by."""
    clips: KeepConfig = KeepConfig(days=7)
    """Clips of orders."""
    verdicts: KeepConfig = KeepConfig(days=365)
    """Verdicts with their reviews and POS orders. With a verdict go its frames and clips."""
    log_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Events, and messages that have been delivered or given up."""
    every_min: Annotated[float, Field(gt=0, le=10_080)] = 60.0
    """Minutes from one clean-up to the next."""


class StorageConfig(Section):
    """What is kept, and where."""

    data_dir: OutputFile
    """Folder for everything this machine keeps; made if missing, one process at a time."""
    objects: Annotated[FolderObjects | S3Objects, Field(discriminator="type")] = FolderObjects(type="folder")
    """Where evidence is stored: frames, clips and verdicts."""
    upload: Upload = "all"
    """Whose evidence is stored; stations may differ."""
    jpeg_quality: Annotated[int, Field(ge=30, le=100)] = 90
    """Of the frames stored."""
    clips: ClipsConfig | None = None
    """Store a short video of every order whose evidence is stored; none when left out."""
    spool: SpoolConfig = SpoolConfig()
    """Objects on their way."""
    retention: RetentionConfig = RetentionConfig()
    """How long things are kept."""
