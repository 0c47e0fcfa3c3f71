"""A recipe: the parts of a dream as one value that can be validated, written down, hashed and read back."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from augment.recipes.tables import OBJECTIVES, STARTS, TRANSFORMS, UPDATES


def one_of(table: Mapping[str, Any]) -> AfterValidator:
    """Accept the names of a table, as it is when a recipe is made."""

    def check(name: str) -> str:
        if name in table:
            return name
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise PydanticCustomError("choice", "expected {choices}", {"choices": ", ".join(map(repr, table)) + hint})

    return AfterValidator(check)


TransformName = Annotated[str, one_of(TRANSFORMS)]
ObjectiveName = Annotated[str, one_of(OBJECTIVES)]
UpdateName = Annotated[str, one_of(UPDATES)]
StartName = Annotated[str, one_of(STARTS)]


class RecipeError(ValueError):
    """A recipe asks for something that does not exist; the message lists what exists."""


class Recipe(BaseModel):
    """How a clip is dreamed, whatever the clip and its target.

    Every field is data: equal recipes have equal canonical JSON and digests. Unset fields use the
    start's and the transform's defaults (`augment.recipes.tables`), else the defaults given here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transform: TransformName = Field(default="deep_dream", description="The activation-maximization function.")
    objective: ObjectiveName | dict[ObjectiveName, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        default="soft_margin",
        description="What the dream maximises; or several with weights, such as {margin: 1, style: 0.5}.",
    )
    layers: tuple[str, ...] = Field(
        default=(), description="YAMNet's layers for the objectives on layers; empty: their own choice."
    )
    channel: Annotated[int, Field(ge=0)] = Field(default=0, description="For the objective channel.")
    update: UpdateName = Field(
        default="sign_momentum",
        description="From a gradient to the direction of an additive step; other transforms use the gradient itself.",
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.7, description="Share of the last direction that momentum and sign_momentum keep."
    )
    steps: Annotated[int, Field(ge=0, le=100_000)] = Field(default=20, description="Gradient steps, at most.")
    hold: Annotated[float, Field(ge=0, le=20)] | None = Field(
        default=0.1,
        description="A clip stops when log(target's score / best other) reaches this; None takes every step.",
    )
    keep: Literal["best", "last"] = Field(default="best", description="Which of a clip's iterates is the dream.")
    step_size: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.2, description="eta: rms of one step, in step_unit; in nepers for spectrogram."
    )
    step_unit: Literal["budget", "clip_rms", "full_scale"] = Field(
        default="budget",
        description="Unit of eta: the rms that snr_db allows, the clip's own rms, or full scale (paper).",
    )
    schedule: Literal["constant", "linear"] = Field(
        default="linear", description="How eta changes over the steps; linear: down to a tenth."
    )
    start: StartName = Field(
        default="clip",
        description="What the dream starts from: the clip, noise, near silence, or a mix of clip and noise.",
    )
    snr_db: Annotated[float, Field(ge=-100, le=200)] | None = Field(
        default=20.0, description="Lowest SNR in dB of the start against the change; None sets no limit."
    )
    change_lu: Annotated[float, Field(ge=-200, le=100)] | None = Field(
        default=None, description="Highest loudness of the change relative to the start's, in LU, such as -20."
    )
    change_lufs: Annotated[float, Field(ge=-200, le=50)] | None = Field(
        default=None, description="Highest loudness of the change, in LUFS."
    )
    peak: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0,
        description="Peak limit of a dream (full scale is 1), or the source's own if that is higher.",
    )
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="Of the masks, hard and soft, relative to the loudest bin; 0 passes all."
    )
    power: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0,
        description="p: exponent on the normalised magnitude in the masks; the larger, the harder a soft one.",
    )
    flip: bool = Field(default=False, description="Swap the filter and the filtered.")
    frame_length: Annotated[int, Field(ge=16, le=65_536)] = Field(
        default=1024, description="STFT frame, samples at 16 kHz."
    )
    hop: Annotated[int, Field(ge=1, le=32_768)] = Field(default=256, description="STFT hop, samples at 16 kHz.")
    arithmetic: Literal["exact", "fast"] = Field(
        default="exact",
        description="fast: most steps look at the two fifths of a clip that count most, in bfloat16 where the "
        "processor has instructions for it; scores stay exact.",
    )
    sound: str | None = Field(
        default=None, description="Path or URI of the target sound, for filters, objectives and the target that use it."
    )
    time_jitter: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.0, description="Seconds: each step shifts the sound by up to this."
    )
    gain_jitter: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.0, description="dB: each step changes the sound's level by up to this."
    )
    octaves: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="Coarse to fine: the first steps change low frequencies only, an octave more each time."
    )
    smoothing: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0.0, description="Width of a blur of each step: in samples at 16 kHz, or in bins and frames."
    )

    @field_validator("start", mode="before")
    @classmethod
    def _name_start(cls, value: Any) -> Any:
        return "white" if value == "noise" else value

    @field_validator("*")
    @classmethod
    def _unsign_zero(cls, value: Any) -> Any:
        return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0, but is written otherwise

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        transform = TRANSFORMS[self.transform]
        start = STARTS[self.start].defaults if transform.adds and not transform.own_unit else {}
        for name, value in {**transform.defaults, **start}.items():
            if name not in self.model_fields_set:
                object.__setattr__(self, name, value)  # not counted as given
        self._check_transform()
        self._check_objective()
        self._check_budget()
        return self

    def _check_transform(self) -> None:
        if self.frame_length % 2 or self.hop * 2 > self.frame_length:
            raise ValueError(
                f"frame_length must be even and at least twice hop, got {self.frame_length} and {self.hop}"
            )
        transform = TRANSFORMS[self.transform]
        if self.flip and not transform.flips:
            flipped = " and ".join(name for name, each in TRANSFORMS.items() if each.flips)
            raise ValueError(f"flip is for {flipped}, not for {self.transform}")
        if self.sound is None and transform.needs_sound:
            raise ValueError(f"{self.transform} needs a target sound: give --sound FILE or set recipe.sound")

    def _check_objective(self) -> None:
        names = self.weighted_objectives()
        if not names or not any(names.values()):
            raise ValueError("objective names nothing that counts: give one, such as soft_margin")
        needing = [name for name in names if OBJECTIVES[name].reference]
        if needing and self.sound is None:
            raise ValueError(f"the objective {needing[0]} needs a target sound: give --sound FILE or set recipe.sound")
        if self.layers and not any(OBJECTIVES[name].default_layers for name in names):
            layered = [name for name, each in OBJECTIVES.items() if each.default_layers]
            raise ValueError(f"layers is for the objectives {', '.join(layered)}")
        if not self.has_class_objective and "hold" not in self.model_fields_set:
            object.__setattr__(self, "hold", None)  # nothing to reach

    def _check_budget(self) -> None:
        transform = TRANSFORMS[self.transform]
        if not transform.adds:
            limited = [name for name in ("snr_db", "change_lu", "change_lufs") if getattr(self, name) is not None]
            if limited:
                raise ValueError(f"{limited[0]} limits a change of the sound; {self.transform} replaces it")
        elif self.step_unit == "budget" and self.snr_db is None and not transform.own_unit:
            if "step_unit" in self.model_fields_set:
                raise ValueError("step_unit budget is relative to what snr_db allows: set recipe.snr_db")
            object.__setattr__(self, "step_unit", "clip_rms")
            if "step_size" not in self.model_fields_set:
                object.__setattr__(self, "step_size", 0.02)  # 0.2 of the default budget of 20 dB

    def weighted_objectives(self) -> dict[str, float]:
        """Return the objectives with their weights."""
        given: Any = self.objective
        return {given: 1.0} if isinstance(given, str) else dict(given)

    @property
    def has_class_objective(self) -> bool:
        """Whether a class is what the ascent is after, so that it can be reached."""
        return any(OBJECTIVES[name].of_class for name in self.weighted_objectives())

    def canonical_json(self) -> str:
        """Return the recipe as JSON with sorted keys and no white space."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the sha256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Write plain data in the one form that is hashed and stored: sorted keys, no white space, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
