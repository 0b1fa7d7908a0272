"""What every section of stations.yaml is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError


def _locate(value: object, info: ValidationInfo) -> object:
    """A path as written, relative to the file it is written in."""
    if not isinstance(value, str) or not value.strip():
        raise PydanticCustomError("path_type", "should be a path, as text")
    base = (info.context or {}).get("base", Path())
    try:
        return (base / Path(value).expanduser()).absolute()
    except RuntimeError:
        raise PydanticCustomError("no_home", "there is no such home directory: write the whole path") from None


def _existing_file(value: object, info: ValidationInfo) -> object:
    path = _locate(value, info)
    if isinstance(path, Path) and path.is_dir():
        raise PydanticCustomError("is_folder", "should be a file, not a folder")
    if not (isinstance(path, Path) and path.is_file()):
        raise PydanticCustomError("no_file", "there is no such file")
    return path


def _existing(value: object, info: ValidationInfo) -> object:
    path = _locate(value, info)
    if not (isinstance(path, Path) and path.exists()):
        raise PydanticCustomError("no_file", "there is no such file or folder")
    return path


def _model(value: object, info: ValidationInfo) -> object:
    """An id as it is; what looks like a path becomes an absolute folder."""
    if isinstance(value, str) and (value.startswith((".", "~")) or "/" in value):
        return str(_locate(value, info))
    return value


OutputFile: TypeAlias = Annotated[Path, BeforeValidator(_locate)]
InputFile: TypeAlias = Annotated[Path, BeforeValidator(_existing_file)]
InputFileOrFolder: TypeAlias = Annotated[Path, BeforeValidator(_existing)]
ModelName: TypeAlias = Annotated[str, BeforeValidator(_model), Field(min_length=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Interval: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the file: unknown keys are mistakes, and values mean what YAML says they are."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )
