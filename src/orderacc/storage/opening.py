"""The object store that a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orderacc.config.storage import S3Objects
from orderacc.storage.folder import FolderStore
from orderacc.storage.spool_folder import SpoolFolder

if TYPE_CHECKING:
    from orderacc.config.storage import StorageConfig
    from orderacc.storage.objects import ObjectStore

MEGABYTE: Final = 1024 * 1024


async def open_store(config: StorageConfig) -> ObjectStore:
    """Open the store; nothing is asked of a server yet.

    With S3 the event loop stands still for a fifth of a second: call it before anything must not wait.
    """
    objects = config.objects
    if isinstance(objects, S3Objects):
        from orderacc.storage.s3 import S3Settings, S3Store

        return await S3Store.open(
            S3Settings(
                bucket=objects.bucket,
                buckets={str(kind): bucket for kind, bucket in objects.buckets.items()},
                prefix=objects.prefix,
                create_buckets=objects.create_buckets,
                endpoint=objects.endpoint,
                region=objects.region,
                addressing=objects.addressing,
                access_key=objects.access_key,
                secret_key=objects.secret_key,
                ca_file=objects.ca_file,
                timeout_sec=objects.timeout_sec,
                connect_timeout_sec=objects.connect_timeout_sec,
                part_bytes=objects.part_mb * MEGABYTE,
            )
        )
    return FolderStore(objects.path or config.data_dir / "objects")


def is_shared(config: StorageConfig) -> bool:
    """Whether others may keep their objects in the same store; nobody else uses a data directory."""
    objects = config.objects
    return isinstance(objects, S3Objects) or objects.path is not None


def spool_folder(config: StorageConfig) -> SpoolFolder:
    """Where objects wait for the store."""
    return SpoolFolder(config.data_dir / "spool")
