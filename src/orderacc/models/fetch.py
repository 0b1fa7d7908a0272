"""Bringing a published model here: resumed when cut off, checked byte for byte, in place only when whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from orderacc._version import __version__
from orderacc.errors import ModelError
from orderacc.models.catalog import EXPORT_EXTRA, FETCH_EXTRA, find_remote, install_command
from orderacc.models.manifest import MANIFEST, ModelInfo
from orderacc.models.store import user_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orderacc.models.catalog import RemoteModel

    Progress = Callable[[str, int, int], None]
    """Called with what is being brought, bytes here so far, and bytes in all."""

READ_BYTES = 1 << 20
PART_SUFFIX = ".part"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def fetch(
    model_id: str,
    dest: Path | None = None,
    *,
    endpoint: str | None = None,
    revision: str = "main",
    progress: Progress = lambda _name, _here, _all: None,
) -> ModelInfo:
    """Fetch a model.

    Files arrive in a hidden folder beside `dest`, which stays when the transfer is cut off and is continued next time.

    Args:
        model_id: One of the catalog's, or any `owner/name` on the hub.
        dest: Folder to make; one named after the model in the user's model folder when None.
        endpoint: Address of the hub; the public one, or `HF_ENDPOINT`, when None.
        revision: Branch, tag or commit.
        progress: Told how far it is.

    Returns:
        The model, ready to use. One that is here already is returned as it is.

    Raises:
        ModelError: `fetch_failed` when the hub, the network or the content is at fault, `model_missing` when nobody
            publishes it.
    """
    repository = _repository(model_id)
    folder = dest or user_root() / model_id.rpartition("/")[2]
    if folder.exists() and any(folder.iterdir()):
        info = ModelInfo.read(folder)
        if not info.missing:
            return info
        raise ModelError(f"{folder} exists and lacks {', '.join(info.missing)}; remove it first", code="fetch_failed")
    hub = _import_hub()
    partial = folder.parent / f".{folder.name}.partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        commit = _Transfer(hub, repository, partial, endpoint, progress).run(revision)
    except (hub.errors.HTTPError, OSError) as error:
        raise ModelError(_why(error, repository, model_id), code="fetch_failed") from error
    return _put_in_place(partial, folder, model_id, f"{repository}@{commit}", commit)


def _repository(model_id: str) -> str:
    if (remote := find_remote(model_id)) is not None:
        if remote.repository is None:
            raise ModelError(f"nobody publishes {model_id}; make it with {_export(remote)}", code="model_missing")
        return remote.repository
    if _REPOSITORY.fullmatch(model_id):
        return model_id
    raise ModelError(
        f"{model_id!r} is neither in the catalog (`orderacc models list`) nor owner/name", code="model_missing"
    )


def _import_hub() -> Any:  # noqa: ANN401  the package is optional and has no types here
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        hub = import_module("huggingface_hub")
        for part in ("errors", "file_download", "utils"):
            import_module(f"huggingface_hub.{part}")
    except ImportError as error:
        raise ModelError(
            f"fetching needs huggingface_hub; {install_command(FETCH_EXTRA)}", code="fetch_failed"
        ) from error
    return hub


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One repository on its way into one folder."""

    hub: Any
    repository: str
    partial: Path
    endpoint: str | None
    progress: Progress

    def run(self, revision: str) -> str:
        """Bring every file and check it; returns the commit."""
        api = self.hub.HfApi(endpoint=self.endpoint, library_name="orderacc", library_version=__version__)
        info = api.model_info(self.repository, revision=revision, files_metadata=True)
        files = [file for file in info.siblings if not file.rfilename.startswith(".git")]
        if outside := [file.rfilename for file in files if not _stays_inside(file.rfilename)]:
            raise ModelError(f"{self.repository} names files outside its folder: {outside[0]}", code="fetch_failed")
        total = sum(file.size or 0 for file in files)
        before = 0
        for file in files:
            path = self.partial / file.rfilename
            if not (path.is_file() and path.stat().st_size == file.size):
                self._bring(file, path, info.sha, self._bar(file.rfilename, before, total))
            _check(path, file)
            before += file.size or 0
            self.progress(file.rfilename, before, total)
        return str(info.sha)

    def _bring(self, file: Any, path: Path, commit: str, bar: type) -> None:  # noqa: ANN401  likewise
        # The hub's own download throws a cut-off file away, so its inner step is used on a file of ours.
        url = self.hub.hf_hub_url(self.repository, file.rfilename, revision=commit, endpoint=self.endpoint)
        part = path.with_name(f"{path.name}.{commit[:12]}{PART_SUFFIX}")
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as stream:
            self.hub.file_download.http_get(
                url,
                stream,
                resume_size=stream.tell(),
                headers=self.hub.utils.build_hf_headers(library_name="orderacc", library_version=__version__),
                expected_size=file.size,
                displayed_filename=file.rfilename,
                tqdm_class=bar,
            )
        part.replace(path)

    def _bar(self, name: str, before: int, total: int) -> type:
        progress, base = self.progress, self.hub.utils.tqdm

        class Bar(base):  # type: ignore[misc,valid-type]  # an untyped base
            """Hands the hub's byte counts on and draws nothing."""

            def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401  likewise
                self._here = int(settings.get("initial") or 0)
                super().__init__(*args, **{**settings, "disable": True})

            def update(self, count: float | None = 1) -> None:
                self._here += int(count or 0)
                progress(name, before + self._here, total)

        return Bar


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _check(path: Path, file: Any) -> None:  # noqa: ANN401  likewise
    size = path.stat().st_size
    right = size == file.size
    if right and file.lfs is not None:
        right = _digest(path, hashlib.sha256()) == file.lfs.sha256
    elif right and file.blob_id:
        # Small files are plain git blobs, whose name is the SHA-1 of a header and the content.
        header = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        right = _digest(path, header) == file.blob_id
    if not right:
        path.unlink()
        raise ModelError(
            f"{file.rfilename} arrived damaged (its checksum is not the hub's) and was removed; fetch again",
            code="fetch_failed",
        )


def _digest(path: Path, digest: Any) -> str:  # noqa: ANN401  hashlib's objects have no public type
    with path.open("rb") as stream:
        while chunk := stream.read(READ_BYTES):
            digest.update(chunk)
    return str(digest.hexdigest())


def _put_in_place(partial: Path, folder: Path, model_id: str, origin: str, commit: str) -> ModelInfo:
    for stale in partial.rglob(f"*{PART_SUFFIX}"):
        stale.unlink()
    info = ModelInfo.read(partial)
    if info.missing:
        raise ModelError(
            f"{origin} is no whole OpenVINO export: it lacks {', '.join(info.missing)}", code="fetch_failed"
        )
    if not (partial / MANIFEST).is_file():
        name = model_id.rpartition("/")[2]
        manifest = {
            "schema": 1,
            "id": name,
            "kind": info.kind,
            "version": commit[:12],
            "vocabulary": None,
            "origin": origin,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    partial.rename(folder)
    return ModelInfo.read(folder)


def _export(remote: RemoteModel) -> str:
    return f"`{remote.export_command(user_root())}` (needs `{install_command(EXPORT_EXTRA)}`)"


def _why(error: BaseException, repository: str, model_id: str) -> str:
    remote = find_remote(model_id)
    other = f"; or make it with {_export(remote)}" if remote else ""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403, 404}:
        return f"the hub has no repository {repository} open to you (HTTP {status}){other}"
    first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return f"fetching {repository} broke off ({first}); the same command goes on where it stopped{other}"
