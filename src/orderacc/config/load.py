"""Loading stations.yaml: the file, the environment over it, and all mistakes in one go."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from orderacc.config.messages import did_you_mean, explain, without_tags
from orderacc.config.references import resolve
from orderacc.config.schema import Config, JudgingConfig
from orderacc.config.streaming import ENVIRONMENT
from orderacc.documents import FieldPath, dotted, read_document
from orderacc.errors import ConfigError, Finding
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orderacc.documents import Document

AnyConfig = TypeVar("AnyConfig", bound=JudgingConfig)

PREFIX: Final = "ORDERACC_"


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema of stations.yaml, with every default and description."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def load_config(path: Path | str, *, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a stations.yaml.

    `ORDERACC_<SECTION>__<KEY>` in the environment wins over the file (`ORDERACC_VLM__DEVICE=CPU`,
    `ORDERACC_SHUTDOWN_GRACE=5`). Relative paths are relative to the file. Files that are read must exist.

    Args:
        path: The file.
        environment: Environment variables; the process's own when None.

    Raises:
        ConfigError: With everything that is wrong, in the order of the file.
    """
    document = _read(path)
    if not isinstance(document.data, dict):
        raise ConfigError([document.finding((), "should be a table with the key stations")])
    variables = os.environ if environment is None else environment
    return _load(Config, document.data, variables, Path(path).absolute().parent, document.finding)


def load_judging(path: Path | str | None = None, *, environment: Mapping[str, str] | None = None) -> JudgingConfig:
    """Judging without stations: as a file has it, or the environment alone.

    Relative paths are relative to the file or the working directory. What a stations.yaml may say about anything else
    is left aside, and so are variables.

    Args:
        path: The file, a stations.yaml or some sections of one; None for none.
        environment: As for `load_config`.

    Raises:
        ConfigError: With everything that is wrong.
    """
    variables = os.environ if environment is None else environment
    if path is not None:
        document = _read(path)
        if not isinstance(document.data, dict):
            raise ConfigError([document.finding((), "should be a table with the key vlm")])
        elsewhere = set(json_schema()["properties"]).difference(JudgingConfig.model_fields)
        data = {key: value for key, value in document.data.items() if key not in elsewhere}
        return _load(JudgingConfig, data, variables, Path(path).absolute().parent, document.finding)
    return _load(
        JudgingConfig, {}, variables, Path.cwd(), lambda at, what: Finding("environment", 0, 0, dotted(at), what)
    )


def _load(
    kind: type[AnyConfig],
    data: dict[str, Any],
    variables: Mapping[str, str],
    base: Path,
    find: Callable[[FieldPath, str], Finding],
) -> AnyConfig:
    """Check a table, the environment laid over it. `find` says where in it something is."""
    findings: list[Finding] = []
    overrides = [over for over in _overrides(variables, data, findings) if over.path[0] in kind.model_fields]
    written = _overlaid(data, overrides)
    sources: dict[FieldPath, str] = {override.path: override.name for override in overrides}

    def complain(place: FieldPath, message: str) -> None:
        finding = Finding(sources[place], 0, 0, "", message) if place in sources else find(place, message)
        findings.append(_masked(finding))

    unresolved: set[FieldPath] = set()

    def complain_of_reference(place: FieldPath, message: str) -> None:
        unresolved.add(place)
        complain(place, message)

    resolved = resolve(written, base, variables, complain_of_reference)
    for place, message in _station_mistakes(resolved):
        complain(place, message)
    config: AnyConfig | None = None
    try:
        config = kind.model_validate(resolved, context={"base": base})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            place = without_tags(json_schema(), detail["loc"])
            value = _value_at(written, place)
            if detail["type"] == "too_short" and value:
                continue  # pydantic counts the sound elements only; the others have findings of their own
            if place in unresolved:
                continue  # a reference that leads nowhere is no value to judge
            complain(place, explain(detail, value, json_schema()))
    if findings or config is None:
        raise ConfigError(sorted(set(findings), key=lambda found: (found.line, found.column, found.path)))
    return config


def finding_in(
    path: Path | str, place: FieldPath, message: str, *, environment: Mapping[str, str] | None = None
) -> Finding:
    """A complaint about a value `load_config` took: at its line in the file, or at the variable that set it.

    Args:
        path: The file.
        place: The value, as keys; one the file leaves out is complained about where it would stand.
        message: What is wrong.
        environment: As for `load_config`.
    """
    variables = os.environ if environment is None else environment
    name = PREFIX + "__".join(map(str, place)).upper()
    return _masked(Finding(name, 0, 0, "", message) if name in variables else _read(path).finding(place, message))


def _read(path: Path | str) -> Document:
    try:
        return read_document(path)
    except ConfigError as error:
        findings = [_masked(finding) for finding in error.findings]
    raise ConfigError(findings)


def _masked(finding: Finding) -> Finding:
    """Without credentials: what was written in the wrong place, or as a key, may be a camera's URL."""
    return replace(finding, path=redact_text(finding.path), message=redact_text(finding.message))


@dataclass(frozen=True, slots=True)
class _Override:
    name: str
    path: tuple[str, ...]
    value: Any


def _overrides(variables: Mapping[str, str], data: dict[str, Any], findings: list[Finding]) -> Iterator[_Override]:
    schema = json_schema()
    yield from _streaming(variables, data)
    sections = {key for key, node in schema["properties"].items() if _is_section(node)}
    singles = set(schema["properties"]) - sections - {"stations", "schema"}
    for name in sorted(variables):
        if not name.startswith(PREFIX):
            continue
        section, divided, key = name.removeprefix(PREFIX).lower().partition("__")
        if not divided and section not in singles:
            continue  # some other variable of ours, such as where models are kept
        if divided and section not in sections:
            near = did_you_mean(section, sections)
            findings.append(Finding(name, 0, 0, "", f"there is no section {section!r} to set from outside{near}"))
            continue
        if divided and data.get(section) is not None and not isinstance(data[section], dict):
            continue  # the file's own mistake is reported; there is nothing to lay this over
        yield _Override(name, (section, key) if divided else (section,), _read_value(variables[name]))


def _streaming(variables: Mapping[str, str], data: dict[str, Any]) -> Iterator[_Override]:
    """Variables of other names; they open no door where the file has none."""
    api = data.get("api")
    if isinstance(api, dict) and isinstance(api.get("streaming", {}), dict):
        for name, key in ENVIRONMENT.items():
            if name in variables:
                yield _Override(name, ("api", "streaming", key), _read_value(variables[name]))


def _read_value(text: str) -> Any:  # noqa: ANN401  parsed text
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text


def _is_section(node: dict[str, Any]) -> bool:
    return "$ref" in node or any("$ref" in choice for choice in node.get("anyOf", ()))


def _overlaid(data: dict[str, Any], overrides: list[_Override]) -> dict[str, Any]:
    result = dict(data)
    for override in overrides:
        *parents, key = override.path
        table = result
        for parent in parents:
            table[parent] = dict(table.get(parent) or {})
            table = table[parent]
        table[key] = override.value
    return result


def _station_mistakes(data: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    """What no single field can tell: ids used twice, videos without orders and orders of nobody, no journal."""
    if data.get("notify") and not data.get("storage"):
        yield ("notify",), "messages wait in the journal until they are delivered: add storage: {data_dir: data}"
    stations = data.get("stations")
    first: dict[str, int] = {}
    for index, station in enumerate(stations if isinstance(stations, list) else ()):
        if not isinstance(station, dict):
            continue
        name, source = station.get("id"), station.get("source")
        if isinstance(name, str):
            if name in first:
                yield ("stations", index, "id"), f"{name!r} is the id of stations[{first[name]}] already"
            first.setdefault(name, index)
        if isinstance(source, dict) and source.get("type") == "file" and data.get("orders") is None:
            yield ("stations", index, "source"), "a recorded video needs POS orders: add orders: {file: orders.json}"
    named = _value_at(data, ("orders", "stations"))
    if data.get("api") is None and first:  # stations may be added over the API
        for name in named if isinstance(named, dict) else ():
            if isinstance(name, str) and name not in first:
                yield ("orders", "stations", name), f"there is no station {name!r}{did_you_mean(name, first)}"


def _value_at(data: Any, path: FieldPath) -> Any:  # noqa: ANN401  parsed text
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data
