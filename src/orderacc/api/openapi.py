"""The OpenAPI document, made from the table of routes and its models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from orderacc._version import __version__
from orderacc.api.problems import MEDIA_TYPE, STATUSES
from orderacc.api.shapes import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from orderacc.api.routes import Route

_REF: Final = "#/components/schemas/{model}"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::([^{}]+))?\}")

_EVERYWHERE: Final = ("bad_request", "bad_origin", "bad_host", "internal")
"""Codes of what may go wrong whatever is asked."""


def openapi_document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document, OpenAPI 3.1.

    Args:
        routes: The table.
    """
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for route in routes:
        wanted += [(route.answer, "serialization")] if route.answer else []
        wanted += [(route.body, "validation")] if route.body else []
        wanted += [(route.form, "validation")] if route.form else []
        wanted += [(route.query, "validation")] if route.query else []
    unique = list(dict.fromkeys(wanted))
    references, definitions = models_json_schema(unique, ref_template=_REF)
    queries = {route.query for route in routes if route.query}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, references)
    own = {query.__name__ for query in queries}
    schemas = {name: node for name, node in definitions.get("$defs", {}).items() if name not in own}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "orderacc",
            "version": __version__,
            "description": "Orders in; verdicts, events, pictures and health out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "login": {"type": "apiKey", "in": "cookie", "name": "orderacc_session"},
            },
        },
    }


def _operation(route: Route, references: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "security": [{"token": []}, {"login": []}] if route.scope else [],
        "responses": {},
    }
    if route.scope:
        operation["x-scope"] = str(route.scope)
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    sent = route.body or route.form
    if sent:
        media = "application/json" if route.body else "multipart/form-data"
        content = {media: {"schema": references[sent, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    answer: dict[str, Any] = {"description": "As asked."}
    if route.media is not None:
        schema = references[route.answer, "serialization"] if route.answer else {}
        answer["content"] = {route.media: {"schema": schema} if schema else {}}
    for status in (route.status, *route.others):
        operation["responses"][str(status)] = answer
    operation["responses"] |= _problems(route)
    return operation


def _problems(route: Route) -> dict[str, Any]:
    codes = [*_EVERYWHERE, *route.problems]
    if _PARAMETER.search(route.path):
        codes.append("not_found")
    if route.metered:
        codes.append("rate_limited")
    if route.scope:
        codes += ["unauthorized", "forbidden"]
    if route.query or route.body or route.form:
        codes.append("invalid")
    if route.body or route.form:
        codes += ["too_large", "unsupported_media_type", "timeout"]
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(STATUSES[code], []).append(code)
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    return {
        str(status): {
            "description": ", ".join(f"`{code}`" for code in by_status[status]),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in sorted(by_status)
    }


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name, pattern in _PARAMETER.findall(route.path):
        schema = {"type": "string", "minLength": 1} | ({"pattern": f"^{pattern}$"} if pattern else {})
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": route.parameters.get(name, ""),
            "schema": schema,
        }


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    schema = route.query.model_json_schema(ref_template=_REF)
    for name, node in schema["properties"].items():
        plain = {key: value for key, value in node.items() if key not in ("title", "description")}
        if plain.get("default", ...) is None:  # left out, which is said by `required`: a query has no null
            plain |= next(kind for kind in plain.pop("anyOf") if kind != {"type": "null"})
            del plain["default"]
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": node.get("description", ""),
            "schema": plain,
        }


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", _PARAMETER.sub(r"\1", route.path)).strip("_")
    return f"{route.method.lower()}_{words}"
