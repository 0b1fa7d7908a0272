"""Where models are, and finding one by name or path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orderacc.errors import ModelError
from orderacc.models.catalog import CATALOG, find_remote, install_command
from orderacc.models.manifest import Kind, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHIPPED_ROOT = Path(__file__).parent
MODELS_DIR_VARIABLE = "ORDERACC_MODELS_DIR"


def user_root() -> Path:
    """Where fetched models go: `ORDERACC_MODELS_DIR`, else `orderacc/models` in the user's data folder (XDG).

    Raises:
        ModelError: `model_missing` if that lies in a home directory and there is none.
    """
    if configured := os.environ.get(MODELS_DIR_VARIABLE):
        return in_home(configured)
    return in_home(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "orderacc" / "models"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of `orderacc models list`.

    Attributes:
        model_id: Its name.
        kind: What it does; None when its folder cannot be read.
        state: `ready`, `broken` (its folder lacks something) or `absent` (it could be fetched).
        detail: What it knows or what it lacks.
        path: Its folder, or None.
        size_bytes: Of its files; 0 when absent.
        version: As its maker counts; empty when unknown.
        command: What brings it here when it is absent.
        needs: What must be installed for that command.
    """

    model_id: str
    kind: Kind | None
    state: Literal["ready", "broken", "absent"]
    detail: str
    path: Path | None = None
    size_bytes: int = 0
    version: str = ""
    command: str = ""
    needs: str = ""


class ModelStore:
    """Folders that hold model folders.

    Args:
        roots: Looked through in order; the user's folder, then what ships, when None.
    """

    def __init__(self, roots: Sequence[Path] | None = None) -> None:
        self.roots = tuple(roots) if roots is not None else (user_root(), SHIPPED_ROOT)

    def resolve(self, name_or_path: str | Path, *, kind: Kind | None = None) -> ModelInfo:
        """Find a model.

        Args:
            name_or_path: A model's id, or a folder (anything with a slash, or that exists as given).
            kind: Refuse a model of another kind.

        Returns:
            The model, all its required files there.

        Raises:
            ModelError: `model_missing` with the way to get it, `model_broken` when it is there but not whole.
        """
        info = self._find(name_or_path)
        if info.missing:
            raise ModelError(
                f"model {info.model_id} in {info.path} lacks {', '.join(info.missing)}; fetch or export it again",
                code="model_broken",
            )
        if kind is not None and info.kind != kind:
            raise ModelError(f"model {info.model_id} is a {info.kind}, not a {kind}", code="model_broken")
        return info

    def list_models(self) -> list[ListedModel]:
        """Every model here, then those that could be fetched."""
        here: dict[str, ListedModel] = {}
        for folder in self._folders():
            listed = _list_folder(folder)
            if listed is not None:
                here.setdefault(listed.model_id, listed)
        absent = [
            ListedModel(
                remote.model_id,
                "vlm",
                "absent",
                f"{remote.summary}; about {remote.size_gb:g} GB",
                command=remote.way_to_get(user_root()),
                needs=install_command(remote.extra),
            )
            for remote in CATALOG
            if remote.model_id not in here
        ]
        return [*here.values(), *absent]

    def _find(self, name_or_path: str | Path) -> ModelInfo:
        name = str(name_or_path)
        if isinstance(name_or_path, Path) or "/" in name or os.sep in name:
            return ModelInfo.read(in_home(name))
        for root in self.roots:
            if (root / name).is_dir():
                return ModelInfo.read(root / name)
        if Path(name).is_dir():
            return ModelInfo.read(Path(name))
        raise ModelError(self._how_to_get(name), code="model_missing")

    def _how_to_get(self, name: str) -> str:
        if (remote := find_remote(name)) is not None:
            return (
                f"model {name} is not on this machine; get it with `{remote.way_to_get(user_root())}` "
                f"(needs `{install_command(remote.extra)}`)"
            )
        known = [*dict.fromkeys(folder.name for folder in self._folders()), *(remote.model_id for remote in CATALOG)]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return f"there is no model or folder {name!r}; {hint}"

    def _folders(self) -> Iterator[Path]:
        for root in self.roots:
            if root.is_dir():
                yield from sorted(
                    path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
                )


def check_menu(info: ModelInfo, menu_names: Sequence[str]) -> None:
    """Refuse a menu with names the model cannot say.

    Raises:
        ModelError: `menu_unknown` with those names and the way out.
    """
    if info.vocabulary is None:
        return
    unknown = [name for name in menu_names if name not in info.vocabulary]
    if unknown:
        shown = ", ".join(unknown[:8]) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
        raise ModelError(
            f"model {info.model_id} knows {len(info.vocabulary)} items only and not: {shown}; "
            f"for a menu of your own use a general model: `{CATALOG[0].way_to_get(user_root())}`, then `models: {{vlm: "
            f"{CATALOG[0].model_id}}}` in the file of `--stations`",
            code="menu_unknown",
        )


def in_home(path: str, setting: str = MODELS_DIR_VARIABLE) -> Path:
    """The path, with the home directory for a leading `~`.

    Args:
        path: As it was written.
        setting: Where another folder may be named.

    Raises:
        ModelError: `model_missing` for a user without a home directory.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ModelError(
            f"{path}: this user has no home directory; name a folder in {setting}", code="model_missing"
        ) from error


def _list_folder(folder: Path) -> ListedModel | None:
    try:
        info = ModelInfo.read(folder)
    except ModelError as error:
        if error.code == "model_missing":
            return None
        return ListedModel(folder.name, None, "broken", error.message, folder, _size(folder))
    if info.missing:
        detail = f"lacks {', '.join(info.missing)}"
        return ListedModel(info.model_id, info.kind, "broken", detail, folder, _size(folder), info.version)
    return ListedModel(info.model_id, info.kind, "ready", _knows(info), folder, _size(folder), info.version)


def _knows(info: ModelInfo) -> str:
    if info.vocabulary is not None:
        return f"{len(info.vocabulary)} items"
    if info.labels:
        return f"{len(info.labels)} classes"
    return "any menu" if info.kind == "vlm" else ""


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
