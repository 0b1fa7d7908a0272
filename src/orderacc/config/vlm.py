"""The section `vlm` of stations.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import Interval, OutputFile, Section

DeviceName: TypeAlias = Annotated[str, Field(pattern=r"^(AUTO|CPU|NPU|GPU(\.\d{1,2})?)$")]


class RemoteVlmConfig(Section):
    """A model behind an OpenAI-compatible API: OpenVINO Model Server, vLLM, or `orderacc serve-vlm`."""

    urls: Annotated[
        tuple[Annotated[SecretText, url_with("http", "https")], ...], Field(strict=False, min_length=1, max_length=64)
    ]
    """Where its API begins, `http://host:port/v1` (or `/v3`), one or several equal servers."""
    model: Annotated[str, Field(min_length=1)]
    """What the servers call the model."""
    token: SecretText | None = None
    """Sent as a bearer token; `file:PATH` or `${NAME}` keep it elsewhere. Show it to no server over plain `http` that
    is not yours."""
    timeout_sec: Interval = 20.0
    """Time one attempt may take."""
    connect_timeout_sec: Interval = 3.0
    """Time connecting may take."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further rounds over the servers after failures that another attempt may mend: a lost connection, 429, 502 to
    504. Pictures of orders that have ended wait on for a server that is only busy, unless they spilled over."""
    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 16
    """Most pictures on their way at a time."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Of the pictures sent."""
    view: Annotated[tuple[int, int] | None, Field(strict=False)] = None
    """Width and height of the pictures when there is no local model; multiples of 28. By default 756 by 504."""
    circuit_breaker_threshold: Annotated[int, Field(ge=1, le=1000)] = 3
    """Failures in a row after which an address is given up for a while."""
    circuit_breaker_cooldown_sec: Interval = 5.0
    """How long."""

    @field_validator("urls")
    @classmethod
    def _one_way_in(cls, urls: tuple[SecretText, ...]) -> tuple[SecretText, ...]:
        if len(set(urls)) < len(urls):
            raise PydanticCustomError("urls_twice", "should not hold one address twice")
        return urls

    @field_validator("token")
    @classmethod
    def _fit_for_a_header(cls, token: SecretText | None) -> SecretText | None:
        if token is not None and not (token.reveal().isascii() and token.reveal().isprintable()):
            raise PydanticCustomError("bad_token", "should be plain ASCII on one line")
        return token

    @field_validator("view")
    @classmethod
    def _whole_tokens(cls, view: tuple[int, int] | None) -> tuple[int, int] | None:
        if view is not None and any(side < 28 or side % 28 or side > 2240 for side in view):
            raise PydanticCustomError("bad_view", "should be two multiples of 28, up to 2240")
        return view


class VlmConfig(Section):
    """How the vision language model runs."""

    local: bool = True
    """Run the model of `models.vlm` in this process; without it there must be a `remote` one."""
    remote: Annotated[RemoteVlmConfig | None, Field(validate_default=True)] = None
    """A model on another machine: takes over when the local one fails, and helps when it has too much to do."""
    spill_over_after: Annotated[int, Field(ge=0, le=10000)] | None = None
    """Pictures waiting for the local model from which further ones go to the remote one; never when left out."""

    device: Literal["AUTO", "CPU", "GPU", "NPU"] = "AUTO"
    """Where it runs."""
    devices: Annotated[tuple[DeviceName, ...], Field(strict=False, min_length=1, max_length=16)] | None = None
    """Run the model once on each of these instead, e.g. `[GPU.0, GPU.1]`; whichever is free takes the next pictures."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of each engine; by default those on the CPU share the cores that the detector leaves."""
    cache_dir: OutputFile | None = None
    """Keep compiled models in this folder: the next start is quicker, by minutes on a GPU."""
    kv_tokens: Annotated[int, Field(ge=256, le=16_777_216)] = 16_384
    """Tokens the model's cache holds; about 28 KB each for a 7B model in 8 bits."""
    kv_precision: Literal["u4", "u8", "f16", "bf16", "f32"] | None = None
    """Number format of that cache; by default the runtime decides."""
    prefix_caching: bool = True
    """Keep what the model computed about instructions and menu from one picture to the next."""
    max_num_seqs: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Most pictures the model works on at once; by default `max_batch_size`."""
    max_num_batched_tokens: Annotated[int, Field(ge=64, le=1_048_576)] = 2_048
    """Most tokens in one step of the model."""
    warm_up: bool = True
    """Ask the model once before the first order, so that the first order does not wait for what is done only once."""

    max_batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Most pictures in one call."""
    visual_token_budget: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    """Most tokens of pictures in one call, one for 28 by 28 pixels; no limit when left out."""
    batch_window_ms: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] = 0.0
    """A model that has nothing to do waits this long for further pictures before it begins."""
    max_new_tokens: Annotated[int, Field(ge=16, le=4096)] = 256
    """Longest answer."""
    item_pixels: Annotated[int, Field(ge=28, le=448)] | None = 84
    """Pixels that the smallest item's shorter side gets in the picture, within 756x504 in all, by models that take any
    size; `null` shows them all at 756x504."""
    queue_size: Annotated[int, Field(ge=1, le=10000)] = 32
    """Most pictures that wait; further ones wait for room."""

    deadline_sec: Interval | None = 120.0
    """An answer about a live camera's order that takes longer, waiting included, is not wanted any more; `null` waits
    for ever."""
    hang_after_sec: Annotated[Interval, Field(validate_default=True)] = 45.0
    """A call of the local model that takes longer is given up and the model loaded anew; what it held is asked again:
    keep it well below half of `deadline_sec`. The slowest batch must take less. The remote one has `timeout_sec`."""
    circuit_breaker_threshold: Annotated[int, Field(ge=1, le=1000)] = 3
    """Failures within `circuit_breaker_window_sec` after which a model rests."""
    circuit_breaker_window_sec: Interval = 60.0
    """How long a failure counts."""
    circuit_breaker_cooldown_sec: Interval = 10.0
    """How long it rests before it is tried again."""

    @field_validator("remote")
    @classmethod
    def _some_model(cls, remote: RemoteVlmConfig | None, info: ValidationInfo) -> RemoteVlmConfig | None:
        if remote is None and info.data.get("local") is False:
            raise PydanticCustomError("no_vlm", "is required when local is false")
        return remote

    @field_validator("spill_over_after")
    @classmethod
    def _from_one_to_another(cls, pictures: int | None, info: ValidationInfo) -> int | None:
        lacking = {"local": info.data.get("local") is False, "remote": info.data.get("remote", "") is None}
        if pictures is not None and any(lacking.values()):
            which = "a local" if lacking["local"] else "a remote"
            raise PydanticCustomError("nowhere_to_spill", "does nothing without {which} model", {"which": which})
        return pictures

    @field_validator("hang_after_sec")
    @classmethod
    def _in_time_to_ask_again(cls, seconds: float, info: ValidationInfo) -> float:
        deadline = info.data.get("deadline_sec")
        if info.data.get("local") and deadline is not None and seconds >= deadline:
            raise PydanticCustomError(
                "hangs_too_long",
                "should be less than deadline_sec, not {seconds} of {deadline} seconds: "
                "nobody would be left to ask another model for",
                {"seconds": f"{seconds:g}", "deadline": f"{deadline:g}"},
            )
        return seconds
