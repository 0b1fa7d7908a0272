"""The daemon's clean-up: now and then, what need not be kept any longer is removed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError
from orderacc.storage.retention import Keep, Retention, RetentionPolicy
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from orderacc.config.storage import KeepConfig, RetentionConfig
    from orderacc.service.unknown_objects import UnknownObjects
    from orderacc.storage.database import Database
    from orderacc.storage.objects import ObjectStore

_log = get_logger(__name__)

MEGABYTE: Final = 1_000_000


async def keep_clean(
    database: Database, objects: ObjectStore, config: RetentionConfig, unknown: UnknownObjects
) -> None:
    """Clean up until cancelled. What fails is tried again the next time.

    Args:
        database: The journal's.
        objects: Where objects are removed.
        config: How long things are kept.
        unknown: Finds what the journal does not know, so that it does not stay for good.
    """
    retention, policy = Retention(database, objects.delete), retention_policy(config)
    while True:
        for work in (unknown.take_in, partial(retention.clean, policy)):
            try:
                await work()
            except StorageError as error:
                _log.warning("clean_up_failed", code=error.code, reason=error.message)
        await asyncio.sleep(config.every_min * 60)


def retention_policy(config: RetentionConfig) -> RetentionPolicy:
    """What is kept, out of the configuration."""
    return RetentionPolicy(_keep(config.frames), _keep(config.clips), _keep(config.verdicts), config.log_days)


def _keep(config: KeepConfig) -> Keep:
    return Keep(config.days, None if config.max_mb is None else config.max_mb * MEGABYTE)
