"""README and docs/: every example is one that works, every link leads somewhere, every setting named is one."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer
import yaml

import orderacc
from orderacc.cli.app import app
from orderacc.config import load_config
from orderacc.config.load import json_schema
from orderacc.domain.menu_file import read_menu
from orderacc.orders.reading import read_orders

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECRETS = {"CAMERA_PASSWORD": "canary", "TILL_TOKEN": "canary", "MQTT_PASSWORD": "canary", "S3_ACCESS_KEY": "canary"}
WEBHOOK_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ELSEWHERE = "/run/secrets/"
FILE = re.compile(r"\.(yaml|json|ndjson)$")


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block: its page, line, language and text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples(*languages: str) -> list[Example]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 2
                found.append(Example(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """Every command line, words as a shell would see them."""
    found = []
    for block in examples("sh"):
        for number, line in enumerate(block.text.replace("\\\n", "").splitlines()):
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words.pop(0)
            if ">" in words:
                words = words[: words.index(">")]
            if words:
                found.append((f"{block.page}:{block.line + number}", [words[0].removeprefix(".venv/bin/"), *words[1:]]))
    return found


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples speak of."""
    for folder in ("counter", "orders", "my-yolo11n", "run"):
        (tmp_path / folder).mkdir()
    (tmp_path / "counter" / "orders.json").write_text('{"7729": [{"name": "Burger"}]}')
    for menu in ("counter/inventory.json", "menu.yaml"):
        (tmp_path / menu).write_text('{"items": [{"name": "Burger"}]}')
    for name in ("counter/station.mp4", "counter/truth.json", "verdicts.ndjson", "box.pem", "box.key"):
        (tmp_path / name).touch()
    for name in ("token", "run/square", "run/s3"):
        (tmp_path / name).write_text("canary")
    (tmp_path / "run" / "drive-2-url").write_text("http://192.168.1.22/stream")
    (tmp_path / "webhook-secret").write_text(WEBHOOK_SECRET)
    (tmp_path / "stations.yaml").write_text("stations: [{id: drive-1, source: {type: simulator}}]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", examples("yaml"), ids=str)
def test_configurations_load_and_menus_are_menus(block: Example, scratch: Path) -> None:
    data = yaml.safe_load(block.text)
    file = scratch / "stations.yaml"
    if "items" in data:
        file.write_text(block.text)
        assert read_menu(file).menu.items
        return
    whole = block.text.replace(ELSEWHERE, f"{scratch}/run/")
    if "stations" not in data:
        whole += file.read_text()
    file.write_text(whole)
    assert load_config(file, environment=SECRETS).stations


@pytest.mark.parametrize("block", examples("json"), ids=str)
def test_json_is_orders_or_a_menu(block: Example, scratch: Path) -> None:
    file = scratch / "example.json"
    file.write_text(block.text)
    data = json.loads(block.text)
    if set(data) == {"items"}:
        assert read_menu(file).menu.items
    else:
        assert read_orders(file)


@pytest.mark.parametrize("block", examples("python"), ids=str)
def test_python_compiles_and_what_it_names_is_there(block: Example) -> None:
    tree = ast.parse(block.text)
    compile(tree, str(block), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            assert [name.name for name in node.names if not is_there(node.module or "", name.name)] == []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "orderacc":
            assert node.attr in orderacc.__all__


def is_there(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("place", "words"), commands(), ids=[place for place, _ in commands()])
def test_command_lines_are_understood(place: str, words: list[str]) -> None:
    program, *arguments = words
    if program == "orderacc":
        command = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0)]
        command.make_context(command.name, arguments)
    elif program == "curl":
        asked(arguments)
    elif program == "python":
        assert arguments[0] == "-m"
        assert importlib.util.find_spec(arguments[1])
    else:  # making an environment is what CI does; a secret is made of random bytes
        assert program in ("python3", "echo"), place


def asked(arguments: list[str]) -> None:
    """What curl would ask is in the API's document."""
    address = urlsplit(next(word for word in arguments if word.startswith("http")))
    given = any(word in ("-d", "-F") for word in arguments)
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "POST" if given else "GET"
    document = json.loads((ROOT / "tests" / "openapi.json").read_text())
    operations = [
        operations[method.lower()]
        for path, operations in document["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address.path) and method.lower() in operations
    ]
    assert operations
    known = {one["name"] for one in operations[0].get("parameters", ())}
    assert {name for name, _ in parse_qsl(address.query)} <= known


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                lost.append(link)
    assert lost == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", PAGES[0].read_text()))
    assert linked == {str(page.relative_to(ROOT)) for page in PAGES[1:]}


def is_setting(dotted: str) -> bool:
    """Whether there is such a key, whichever kind of section holds it."""
    schema = json_schema()
    nodes = [schema]
    for key in dotted.split("."):
        nodes = [found for node in nodes for found in below(node, key, schema)]
    return bool(nodes)


def below(node: dict, key: str, schema: dict) -> list[dict]:
    if "$ref" in node:
        return below(schema["$defs"][node["$ref"].rpartition("/")[2]], key, schema)
    found = [inner for choice in node.get("anyOf", node.get("oneOf", ())) for inner in below(choice, key, schema)]
    return [*found, *([node["properties"][key]] if key in node.get("properties", {}) else [])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_named_in_the_text_exist(page: Path) -> None:
    sections = json_schema()["properties"]
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", page.read_text())
    settings = [name for name in named if name.split(".")[0] in sections and not FILE.search(name)]
    assert [name for name in settings if not is_setting(name)] == []
