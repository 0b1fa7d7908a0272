"""What went wrong, as RFC 9457 has it: one kind of answer for every error of every route."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from orderacc.errors import ConfigError, OrderAccError, RequestError
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEDIA_TYPE: Final = "application/problem+json"

LONGEST_DETAIL: Final = 1000
"""Characters of an explanation; it may quote what was sent."""

MOST_DETAILS: Final = 50
"""Fields that are complained about at once."""

STATUSES: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "bad_origin": 403,
    "csrf": 403,
    "camera_refused": 403,
    "not_found": 404,
    "no_such_station": 404,
    "no_such_verdict": 404,
    "no_such_object": 404,
    "bad_key": 404,
    "no_picture": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "timeout": 408,
    "conflict": 409,
    "station_exists": 409,
    "gone": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "bad_host": 421,
    "invalid": 422,
    "bad_config": 422,
    "bad_order": 422,
    "rate_limited": 429,
    "internal": 500,
    "not_running": 503,
    "unavailable": 503,
    "orders_unavailable": 503,
}
"""HTTP status by an error's code; 503 for those of storage and models, which pass, and 500 for all others."""

CODES: Final[Mapping[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    426: "bad_request",
}
"""Code by the status of what aiohttp itself refuses; `bad_request` for all others."""


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    details: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An answer that says what went wrong.

    Args:
        status: HTTP status.
        code: Stable snake_case identifier; the last part of the problem's `type`.
        detail: One sentence for a person.
        details: What is wrong field by field: dotted path and message.
        headers: Further headers.
    """
    body: dict[str, Any] = {
        "type": f"urn:orderacc:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": redact_text(detail)[:LONGEST_DETAIL],
    }
    if details:
        shown = details[:MOST_DETAILS]
        body["errors"] = [{"path": path, "message": redact_text(text)[:LONGEST_DETAIL]} for path, text in shown]
    text = json.dumps(body, ensure_ascii=False)
    # What was sent may hold half a character, which is quoted but cannot be written.
    content = text.encode(errors="replace")
    return web.Response(body=content, status=status, content_type=MEDIA_TYPE, headers=headers)


def problem_of(error: OrderAccError) -> web.Response:
    """An error of ours as an answer."""
    if isinstance(error, RequestError):
        return problem(
            STATUSES.get(error.code, 400), error.code, error.message, details=error.details, headers=error.headers
        )
    if isinstance(error, ConfigError) and error.findings:
        details = [(finding.path, finding.message) for finding in error.findings]
        return problem(422, error.code, "what was sent cannot be used", details=details)
    status = STATUSES.get(error.code, 503)
    return problem(status, error.code, error.message, headers={"Retry-After": "1"} if status == 503 else None)


def problem_of_http(error: web.HTTPException) -> web.Response:
    """What aiohttp refuses, as an answer of ours."""
    code = CODES.get(error.status, "bad_request" if error.status < 500 else "internal")
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return problem(error.status, code, _SAID.get(error.status, error.reason), headers=headers)


_SAID: Final[Mapping[int, str]] = {
    404: "there is nothing at this path",
    405: "this path does not take this method",
    413: "the body is larger than this path takes",
}
