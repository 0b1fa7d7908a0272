"""The OpenAPI document as a page for people: one file, no script, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STYLE: Final = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
.scope { float: right; opacity: .7; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; border-top: 1px solid var(--line); }
"""


def reference_page(document: Mapping[str, Any]) -> tuple[str, str]:
    """The page, and the Content-Security-Policy that lets it have its style and nothing else.

    Args:
        document: OpenAPI 3.1.
    """
    style = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'"
    info = document["info"]
    body = "".join(
        f"<h2>{escape(tag['name'])}</h2>{''.join(_operations(document, tag['name']))}" for tag in document["tags"]
    )
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])} "
        'The same for machines: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{body}<h2>Shapes</h2>{''.join(_shapes(document))}</body></html>"
    )
    return html, policy


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag not in operation["tags"]:
                continue
            yield (
                f'<details><summary><span class="scope">{escape(operation.get("x-scope", "open to all"))}</span>'
                f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code><br>'
                f"{escape(operation['summary'])}</summary>"
                f"{_parameters(operation)}{_body(operation)}{_answers(operation)}</details>"
            )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{escape(one['name'])}</code>", one["in"], f"{_kind(one['schema'])} {escape(one['description'])}")
        for one in operation.get("parameters", ())
    ]
    return _table(("Parameter", "In", "What"), rows)


def _body(operation: Mapping[str, Any]) -> str:
    body = operation.get("requestBody")
    if not body:
        return ""
    ((media, content),) = body["content"].items()
    what = "Body" if media == "application/json" else f"Body, <code>{escape(media)}</code>"
    return f"<p>{what}: {_kind(content['schema'])}</p>"


def _answers(operation: Mapping[str, Any]) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        kinds = " ".join(
            f"<code>{escape(media)}</code> {_kind(node.get('schema', {}))}" for media, node in content.items()
        )
        rows.append((escape(status), escape(answer["description"]), kinds))
    return _table(("Status", "When", "What"), rows)


def _shapes(document: Mapping[str, Any]) -> Iterator[str]:
    for name, node in document["components"]["schemas"].items():
        needed = node.get("required", ())
        rows = [
            (
                f"<code>{escape(key)}</code>{'' if key in needed else ' ?'}",
                _kind(value),
                escape(value.get("description", "")),
            )
            for key, value in node.get("properties", {}).items()
        ]
        text = escape(node.get("description", "")) or _kind({key: node[key] for key in node if key != "title"})
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><p>{text}</p>'
        yield f"{_table(('Key', 'Kind', 'What'), rows)}</details>"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{text}</th>" for text in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(map(_kind, schema[key]))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(str(schema.get("type", "")))
