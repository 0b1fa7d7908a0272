"""The daemon's clean-up: now and then, what need not be kept any longer is removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError
from orderacc.service.evidence_store import KINDS
from orderacc.storage.objects import visit_key
from orderacc.storage.retention import Keep, Retention, RetentionPolicy
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from orderacc.config.storage import KeepConfig, RetentionConfig
    from orderacc.storage.database import Database
    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.retention import Removal

_log = get_logger(__name__)

MEGABYTE: Final = 1_000_000


async def keep_clean(database: Database, objects: ObjectStore, config: RetentionConfig) -> None:
    """Clean up until cancelled. What fails is tried again the next time.

    Args:
        database: The journal's.
        objects: Where objects are removed.
        config: How long things are kept.
    """
    retention, policy = Retention(database, objects.delete), retention_policy(config)
    while True:
        try:
            await retention.clean(policy)
        except StorageError as error:
            _log.warning("clean_up_failed", code=error.code, reason=error.message)
        await asyncio.sleep(config.every_min * 60)


async def remove_unknown(objects: ObjectStore, visit_id: str, removal: Removal, *, dry_run: bool) -> None:
    """Remove what is stored of an order that the journal does not know, because it was lost or begun anew.

    Args:
        objects: Where objects are removed.
        visit_id: The order, by its verdict's id.
        removal: Told what goes.
        dry_run: Only say what would go.
    """
    for prefix, kind in KINDS.items():
        found = [one async for one in objects.list(visit_key(prefix, visit_id))]
        if found and not dry_run:
            await objects.delete([one.key for one in found])
        if found:
            removal.objects[kind] = removal.objects.get(kind, 0) + len(found)
            removal.size += sum(one.size for one in found)


def retention_policy(config: RetentionConfig) -> RetentionPolicy:
    """What is kept, out of the configuration."""
    return RetentionPolicy(_keep(config.frames), _keep(config.clips), _keep(config.verdicts), config.log_days)


def _keep(config: KeepConfig) -> Keep:
    return Keep(config.days, None if config.max_mb is None else config.max_mb * MEGABYTE)
