"""A recipe: the parts of a dream as one value that can be validated, written down, hashed and read back."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

TransformName = Literal["deep_dream", "hard_cut", "hard_cut_add", "target_filter", "gradients"]
ObjectiveName = Literal["score", "logit", "margin"]
UpdateName = Literal["normalised", "sign", "momentum", "sign_momentum", "adam"]

_FLIPPED = ("hard_cut", "hard_cut_add")
_ADDITIVE = ("deep_dream", "hard_cut_add", "target_filter")


class Recipe(BaseModel):
    """How a clip is dreamed, whatever the clip and its target.

    Every field is data: equal recipes have equal canonical JSON and digests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transform: TransformName = Field(default="deep_dream", description="The activation-maximization function.")
    objective: ObjectiveName = Field(default="margin", description="What the gradient ascends.")
    update: UpdateName = Field(
        default="sign",
        description="From a gradient to the direction of an additive step; other functions take the gradient as it is.",
    )
    steps: Annotated[int, Field(ge=0, le=100_000)] = Field(default=20, description="Gradient steps.")
    step_size: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.02, description="eta: rms of one additive step, in step_unit."
    )
    step_unit: Literal["clip_rms", "budget", "full_scale"] = Field(
        default="clip_rms",
        description="What eta is relative to: the clip's own rms, the rms that snr_db allows, or full scale (paper).",
    )
    schedule: Literal["constant", "linear"] = Field(
        default="linear", description="How eta goes over the steps; linear: down to a tenth."
    )
    snr_db: Annotated[float, Field(ge=-100, le=200)] | None = Field(
        default=None, description="Lowest SNR in dB of an additive dream against its source; None sets no limit."
    )
    peak: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0,
        description="Peak limit of an additive dream (full scale is 1), or the source's own if that is higher.",
    )
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="Of the hard-cut mask; 0 passes all."
    )
    power: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0, description="p: exponent on the normalised magnitude that is held against the threshold."
    )
    flip: bool = Field(default=False, description="Let the filter and the filtered change places.")
    frame_length: Annotated[int, Field(ge=16, le=65_536)] = Field(
        default=1024, description="STFT frame, samples at 16 kHz."
    )
    hop: Annotated[int, Field(ge=1, le=32_768)] = Field(default=256, description="STFT hop, samples at 16 kHz.")
    sound: str | None = Field(default=None, description="Path or URI of the target sound, for target_filter.")

    @field_validator("*")
    @classmethod
    def _unsign_zero(cls, value: Any) -> Any:
        return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0, but is written otherwise

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.frame_length % 2 or self.hop * 2 > self.frame_length:
            raise ValueError(
                f"frame_length must be even and at least twice hop, got {self.frame_length} and {self.hop}"
            )
        if self.flip and self.transform not in _FLIPPED:
            raise ValueError(f"flip is for {' and '.join(_FLIPPED)}, not for {self.transform}")
        if (self.sound is not None) != (self.transform == "target_filter"):
            raise ValueError(
                "target_filter needs a target sound: give --sound FILE (dream) or set recipe.sound"
                if self.sound is None
                else f"sound is for target_filter, not for {self.transform}"
            )
        if self.step_unit == "budget" and self.snr_db is None:
            raise ValueError("step_unit budget is relative to what snr_db allows: set recipe.snr_db")
        if self.snr_db is not None and self.transform not in _ADDITIVE:
            raise ValueError(f"snr_db limits what is added: it is for {', '.join(_ADDITIVE)}, not {self.transform}")
        return self

    def canonical_json(self) -> str:
        """Return the recipe as JSON with sorted keys and no white space."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the sha256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Write plain data in the one form that is hashed and stored: sorted keys, no white space, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
