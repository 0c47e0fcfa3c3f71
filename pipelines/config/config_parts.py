"""The parts of a run's configuration: where clips come from, what they are dreamed toward, and by which model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from augment.targets.policies import POLICIES

FeatureRole = Literal["audio", "sample_rate", "label", "labels", "id", "split"]
"""What a feature of a record may hold."""

GroupName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,100}$")]
"""A group's name becomes part of the name of a feature, which TFDS parts at slashes."""


class SourceConfig(BaseModel):
    """What is read of the inputs, where labels come from, and how long sounds are cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metadata: str | None = Field(
        default=None, description="CSV, TSV, JSONL or Parquet with a row for each file; None: folder names are labels."
    )
    path_column: str | None = Field(default=None, description="Its column of paths; None: found by its name.")
    label_column: str | None = Field(default=None, description="Its column of labels; None: found by its name.")
    split_column: str | None = Field(default=None, description="Its column of splits; None: found by its name.")
    offset_column: str | None = Field(
        default=None, description="A manifest's column of where pieces begin, s; None: found by its name; '': none."
    )
    end_column: str | None = Field(default=None, description="A manifest's column of where they end, s; likewise.")
    duration_column: str | None = Field(default=None, description="A manifest's column of durations, s; likewise.")
    group_columns: tuple[GroupName, ...] = Field(
        default=(), description="Columns or features that are carried into the records as group_NAME: fold, speaker."
    )
    label_separator: Annotated[str, Field(min_length=1, max_length=10)] | None = Field(
        default=None, description="What parts several labels in one text; None: in columns of labels or tags, | ; or ,."
    )
    classes: tuple[str | int, ...] | str | None = Field(
        default=None,
        description="All labels in their order, or a text file or table of them; None: as the source says.",
    )
    splits: tuple[str, ...] = Field(default=(), description="Splits that are read; none: all.")
    root: str | None = Field(
        default=None,
        description="Folder that a manifest's or list's paths are relative to and must lie in; None: its own folder.",
    )
    data_dir: str | None = Field(
        default=None, description="Folder of TFDS datasets; None: TFDS_DATA_DIR, or ~/tensorflow_datasets."
    )
    features: dict[FeatureRole, str] | None = Field(
        default=None, description="Names of features: audio, sample_rate, label, labels, id, split; None: these words."
    )
    audio_bytes: Literal["file", "float32", "int16"] = Field(
        default="file", description="What bytes in a TFRecord's feature of audio are: a sound file, or samples."
    )
    sample_rate: Annotated[int, Field(ge=1_000, le=768_000)] | None = Field(
        default=None, description="Of records without a sample rate, Hz."
    )
    segment_seconds: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] | None = Field(
        default=10.0, description="Longer files are cut into segments of this length; None keeps them whole."
    )


class TargetConfig(BaseModel):
    """What clips are dreamed toward, and which labels the dreams get."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = Field(
        default="random",
        description="keep (the clip's own class), class, random, nearest, farthest, label, sound, away.",
    )
    classes: tuple[str | int, ...] = Field(
        default=(),
        description="Names, MIDs, indices, or branches of the ontology (Animal/*): the target, or the choices for it.",
    )
    labels: dict[str, str | int] = Field(
        default={}, description="The class that each of the dataset's labels means, where its name is another."
    )
    label_policy: Literal["keep", "target", "both", "none"] = Field(
        default="keep", description="Labels of a dream: the clip's, the target's, both, none."
    )

    @model_validator(mode="after")
    def _check(self) -> TargetConfig:
        if self.policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {self.policy!r}")
        if self.policy == "class" and not self.classes:
            raise ValueError("policy class needs a class: set target.classes")
        if self.policy in ("keep", "label", "sound") and self.classes:
            raise ValueError(f"policy {self.policy} takes no classes")
        if self.policy == "away" and self.label_policy in ("target", "both"):
            raise ValueError(f"a dream away from a class has no target to label: label_policy {self.label_policy}")
        return self


class ModelConfig(BaseModel):
    """A model that clips are dreamed with (`augment.models.interface.ModelSpec`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        default="yamnet", description="yamnet, crnn, a SavedModel folder, a .keras or .h5 file, or a head.npz."
    )
    classes: str | None = Field(default=None, description="File of its classes' names, in the order of its scores.")
    sample_rate: Annotated[int, Field(ge=1_000, le=768_000)] | None = Field(
        default=None, description="Hz, of what it takes."
    )
    window_seconds: Annotated[float, Field(ge=0.01, le=3600)] | None = Field(
        default=None, description="Of audio that it scores at a time; None: as its input says, or the whole clip."
    )
    hop_seconds: Annotated[float, Field(ge=0.01, le=3600)] | None = Field(
        default=None, description="From one window to the next; None: windows follow each other."
    )
    input: Literal["auto", "waveform", "embeddings"] = Field(
        default="auto", description="What it takes; auto decides by the shape."
    )
