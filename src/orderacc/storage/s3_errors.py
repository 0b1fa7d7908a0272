"""What S3 and the way to it say when something fails, as errors of the store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from orderacc.errors import StorageError
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)

ADVICE: Final = {
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret key is wrong, or the access key is",
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}
"""What a person should know, by the server's code."""

PASSING: Final = frozenset(
    {"RequestTimeout", "SlowDown", "Throttling", "TooManyRequests", "InternalError", "BadDigest"}
)
MISSING: Final = frozenset({"NoSuchKey", "NoSuchUpload"})


@contextmanager
def s3_errors(what: str, where: str) -> Iterator[None]:
    """Turn whatever a request raises into an error of the store.

    Args:
        what: What was asked for, the beginning of a message.
        where: The server and bucket, without credentials.

    Raises:
        StorageError: See there.
    """
    from aiohttp import ClientError as HttpError
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        TokenRetrievalError,
    )

    try:
        yield
    except ClientError as error:
        raise refused(error.response, what, where) from error
    except (NoCredentialsError, PartialCredentialsError, TokenRetrievalError) as error:
        advice = "there are no credentials: set access_key and secret_key, or one of the usual places"
        raise StorageError(f"{where}: {what}: {advice}", code="storage_denied") from error
    except TimeoutError as error:
        raise StorageError(f"{where}: {what}: no answer in time", code="storage_unavailable") from error
    except (BotoCoreError, HttpError, OSError) as error:
        # Of the library's errors only the first line is for people, and even that may quote a URL.
        told = redact_text(str(error).partition("\n")[0]) or type(error).__name__
        raise StorageError(f"{where}: {what}: {told}", code="storage_unavailable") from error


def refused(response: Mapping[str, Any], what: str, where: str) -> StorageError:
    """What an answer with an error means.

    Args:
        response: As botocore parsed it.
        what: As in `s3_errors`.
        where: Likewise.
    """
    told = response.get("Error", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(told.get("Code", status))
    reason = ADVICE.get(code) or redact_text(str(told.get("Message") or code))
    return StorageError(f"{where}: {what}: {reason} ({code})", code=_meaning(code, status))


def _meaning(code: str, status: int) -> str:
    if code == "NoSuchBucket":
        return "no_such_bucket"
    if code in PASSING or status >= 500 or status == 429:
        return "storage_unavailable"
    if code in DENIED or status in {401, 403}:
        return "storage_denied"
    if code in MISSING or status == 404:
        return "no_such_object"
    return "storage_refused"
