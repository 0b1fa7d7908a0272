"""Objects in S3, or whatever speaks its language."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from yarl import URL

from orderacc.errors import StorageError
from orderacc.storage.objects import KINDS, SLOWEST, StoredObject, check_key, check_prefix
from orderacc.storage.s3_errors import s3_errors
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from orderacc.config.secrets import SecretText

CONNECTIONS: Final = 32
PARTS_AT_ONCE: Final = 4
DELETED_AT_ONCE: Final = 1000
"""S3's own limit of keys in one request."""

_DIGEST: Final = "sha256"
"""Name of an object's metadata that tells what it must be when it is read back."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the objects go and who puts them there; the fields of `S3Objects` in the configuration.

    Attributes:
        bucket: Holds all kinds of objects that `buckets` does not name.
        buckets: Buckets of their own, by kind.
        prefix: Before every key.
        create_buckets: Whether `check` makes buckets that are not there.
        endpoint: The server; Amazon's when None.
        region: Its region.
        addressing: `path`, `virtual`, or `auto`: path where there is an endpoint.
        access_key: Who asks; None searches the usual places.
        secret_key: Its secret.
        ca_file: Certificates to trust instead of the system's.
        timeout_sec: Seconds without an answer after which an attempt has failed.
        connect_timeout_sec: Seconds connecting may take.
        part_bytes: Larger objects go up in parts of this size.
    """

    bucket: str
    buckets: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    create_buckets: bool = False
    endpoint: SecretText | None = None
    region: str = "us-east-1"
    addressing: str = "auto"
    access_key: SecretText | None = None
    secret_key: SecretText | None = None
    ca_file: Path | None = None
    timeout_sec: float = 10.0
    connect_timeout_sec: float = 3.0
    part_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Ready:
    """A content with its digests."""

    content: bytes
    md5: str
    sha256: str


class S3Store:
    """Keeps objects in buckets. Attempts are not repeated here: whoever has something to put knows how to wait.

    Belongs to the event loop it was opened in. Every content is sent with its MD5, which the server checks, and kept
    with its SHA-256, which `get` checks.
    """

    def __init__(self, settings: S3Settings, client: Any, connections: AsyncExitStack) -> None:  # noqa: ANN401  botocore makes classes of services at run time
        self._settings = settings
        self._client = client
        self._connections = connections

    @classmethod
    async def open(cls, settings: S3Settings) -> Self:
        """Make the client; nothing is asked of the server yet.

        Takes a fifth of a second in which the event loop stands still: call it before anything must not wait.
        """
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        endpoint = URL(settings.endpoint.reveal()) if settings.endpoint else None
        addressing = settings.addressing
        if addressing == "auto":
            addressing = "virtual" if endpoint is None else "path"
        config = AioConfig(
            region_name=settings.region,
            signature_version="s3v4",
            s3={"addressing_style": addressing},
            connect_timeout=settings.connect_timeout_sec,
            read_timeout=settings.timeout_sec,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Checksums in trailers are understood by Amazon alone; Content-MD5 by all.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        connections = AsyncExitStack()
        client = await connections.enter_async_context(
            get_session().create_client(
                "s3",
                config=config,
                endpoint_url=str(endpoint.with_user(None)) if endpoint else None,
                aws_access_key_id=settings.access_key.reveal() if settings.access_key else None,
                aws_secret_access_key=settings.secret_key.reveal() if settings.secret_key else None,
                verify=str(settings.ca_file) if settings.ca_file else None,
            )
        )
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_digest)
        return cls(settings, client, connections)

    async def check(self) -> None:
        """Make sure that every bucket is there and may be listed.

        Raises:
            StorageError: `storage_denied`, `no_such_bucket` or `storage_unavailable`.
        """
        for bucket in dict.fromkeys(self._bucket(kind) for kind in KINDS):
            try:
                async with self._asking("it cannot be listed", bucket):
                    await self._client.list_objects_v2(Bucket=bucket, MaxKeys=1)
            except StorageError as error:
                await self._create(bucket, error)

    async def put(self, key: str, data: bytes | Path, content_type: str) -> None:
        """See `ObjectStore.put`; what is larger than a part goes up in parts.

        Raises:
            StorageError: `storage_unavailable`, `storage_denied`, `no_such_bucket`, `storage_refused` or `bad_key`.
        """
        place = self._place(key)
        ready = await asyncio.to_thread(_ready, data)
        about = {"ContentType": content_type, "Metadata": {_DIGEST: ready.sha256}}
        try:
            await self._put(key, place, ready, about)
        except StorageError as error:
            await self._create(place["Bucket"], error)
            await self._put(key, place, ready, about)

    async def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        place = self._place(key)
        async with self._asking(f"{key} could not be read", place["Bucket"]):
            answer = await self._client.get_object(**place)
            async with answer["Body"] as body:
                content: bytes = await body.read()
        digest = answer.get("Metadata", {}).get(_DIGEST)
        if digest is not None and digest != await asyncio.to_thread(_sha256, content):
            raise StorageError(
                f"{self._where(place['Bucket'])}: {key} is not what was stored under this key", code="object_corrupt"
            )
        return content

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `ObjectStore.list`."""
        check_prefix(prefix)
        kind, slash, _ = prefix.partition("/")
        buckets = [self._bucket(kind)] if slash else [self._settings.bucket, *self._settings.buckets.values()]
        found: list[StoredObject] = []
        for bucket in dict.fromkeys(buckets):
            found.extend([one async for one in self._list(bucket, prefix)])
            if len(buckets) == 1:
                for one in found:
                    yield one
                return
        for one in sorted(found, key=lambda one: one.key):
            yield one

    async def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""
        for bucket, batch in self._batches(keys):
            async with self._asking("objects could not be removed", bucket):
                answer = await self._client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            for failure in answer.get("Errors", ()):
                if failure.get("Code") != "NoSuchKey":
                    raise StorageError(
                        f"{self._where(bucket)}: {failure.get('Key')} could not be removed: {failure.get('Code')}",
                        code="storage_denied" if failure.get("Code") == "AccessDenied" else "storage_unavailable",
                    )

    async def link(self, key: str, seconds: float) -> str:
        """See `ObjectStore.link`; S3 allows up to a week."""
        place = self._place(key)
        async with self._asking(f"there is no link to {key}", place["Bucket"]):
            url: str = await self._client.generate_presigned_url(
                "get_object", Params=place, ExpiresIn=max(1, round(seconds))
            )
        return url

    async def aclose(self) -> None:
        """See `ObjectStore.aclose`."""
        await self._connections.aclose()

    async def _create(self, bucket: str, error: StorageError) -> None:
        """Make a bucket because of an error that says it is not there; any other error is raised again."""
        if error.code != "no_such_bucket" or not self._settings.create_buckets:
            raise error
        made = self._client.exceptions.BucketAlreadyOwnedByYou  # by another put, or another machine
        async with self._asking("it cannot be made", bucket):
            with suppress(made):
                await self._client.create_bucket(Bucket=bucket, **self._location())

    async def _put(self, key: str, place: Mapping[str, str], ready: _Ready, about: Mapping[str, Any]) -> None:
        async with self._asking(f"{key} could not be put", place["Bucket"], len(ready.content)):
            if len(ready.content) > self._settings.part_bytes:
                await self._put_parts(place, ready.content, about)
            else:
                await self._client.put_object(**place, Body=ready.content, ContentMD5=ready.md5, **about)

    @asynccontextmanager
    async def _asking(self, what: str, bucket: str, size: int = 0) -> AsyncIterator[None]:
        """Ask within a limit: a server that says nothing between a request's head and its body is waited for for ever.

        Args:
            what: As in `s3_errors`.
            bucket: Which.
            size: Bytes on their way.
        """
        patience = self._settings.connect_timeout_sec + self._settings.timeout_sec + size / SLOWEST
        with s3_errors(what, self._where(bucket)):
            async with asyncio.timeout(patience):
                yield

    async def _put_parts(self, place: Mapping[str, str], content: bytes, about: Mapping[str, Any]) -> None:
        begun = await self._client.create_multipart_upload(**place, **about)
        upload = {**place, "UploadId": begun["UploadId"]}
        lanes = asyncio.Semaphore(PARTS_AT_ONCE)

        async def put(number: int, part: bytes) -> dict[str, Any]:
            async with lanes:
                answer = await self._client.upload_part(**upload, PartNumber=number, Body=part, ContentMD5=_md5(part))
                return {"PartNumber": number, "ETag": answer["ETag"]}

        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(put(number, part)) for number, part in enumerate(self._parts(content), 1)]
            done = [part.result() for part in parts]
            await self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException as error:
            await self._abort(upload)
            if isinstance(error, ExceptionGroup):
                raise error.exceptions[0] from None
            raise

    async def _abort(self, upload: Mapping[str, str]) -> None:
        """Parts that belong to nothing cost money for ever; where even this fails the bucket's rules must do it."""
        with suppress(StorageError):
            async with self._asking("parts could not be removed", upload["Bucket"]):
                await self._client.abort_multipart_upload(**upload)

    def _parts(self, content: bytes) -> Iterator[bytes]:
        size = self._settings.part_bytes
        return (content[start : start + size] for start in range(0, len(content), size))

    async def _list(self, bucket: str, prefix: str) -> AsyncIterator[StoredObject]:
        token: dict[str, str] = {}
        while True:
            async with self._asking("it could not be listed", bucket):
                page = await self._client.list_objects_v2(Bucket=bucket, Prefix=self._settings.prefix + prefix, **token)
            for one in page.get("Contents", ()):
                key = one["Key"].removeprefix(self._settings.prefix)
                yield StoredObject(key, one["Size"], one["LastModified"].astimezone(UTC))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _batches(self, keys: Iterable[str]) -> Iterator[tuple[str, Sequence[dict[str, str]]]]:
        by_bucket: dict[str, list[dict[str, str]]] = {}
        for key in keys:
            place = self._place(key)
            by_bucket.setdefault(place["Bucket"], []).append({"Key": place["Key"]})
        for bucket, all_keys in by_bucket.items():
            for start in range(0, len(all_keys), DELETED_AT_ONCE):
                yield bucket, all_keys[start : start + DELETED_AT_ONCE]

    def _place(self, key: str) -> dict[str, str]:
        kind = check_key(key).partition("/")[0]
        return {"Bucket": self._bucket(kind), "Key": self._settings.prefix + key}

    def _bucket(self, kind: str) -> str:
        return self._settings.buckets.get(kind, self._settings.bucket)

    def _where(self, bucket: str) -> str:
        endpoint = self._settings.endpoint
        return f"{redact_text(str(endpoint)) if endpoint else 'S3'}, bucket {bucket}"

    def _location(self) -> dict[str, Any]:
        if self._settings.endpoint is not None or self._settings.region == "us-east-1":
            return {}
        return {"CreateBucketConfiguration": {"LocationConstraint": self._settings.region}}


def _add_digest(request: Any, **_: Any) -> None:  # noqa: ANN401  botocore's hook
    """Servers that are not Amazon's want the MD5 of a list of keys, which the library no longer sends."""
    body = request.data or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    request.headers["Content-MD5"] = _md5(content)


def _md5(content: bytes) -> str:
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _ready(data: bytes | Path) -> _Ready:
    """Everything that takes time in one go. A clip is some megabytes; what is much larger is not put here."""
    if isinstance(data, Path):
        try:
            data = data.read_bytes()
        except OSError as error:
            raise StorageError(f"the file cannot be read: {error.strerror}") from error
    return _Ready(data, _md5(data), _sha256(data))
