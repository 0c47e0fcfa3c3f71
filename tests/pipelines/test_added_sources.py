"""A kind of source is added with one function and one line: it is accepted, named in errors, and runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from recordings import augment, load, record

from pipelines.clips.listing import Listing, SourceError
from pipelines.clips.references import SoundFileRef
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import SOURCES, Source, check_there, list_inputs


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sounds, of which the toy source gives as many as its input says."""

    def list_toys(inputs: Sequence[str], source: SourceConfig) -> Listing:
        del source
        count = sum(int(given.removeprefix("toy:")) for given in inputs)
        files = [record(tmp_path / f"toys/{number}.wav", 0.5) for number in range(count)]
        return Listing(iter([SoundFileRef(f"toy/{file.name}", str(file), ("toy",)) for file in files]))

    monkeypatch.setitem(SOURCES, "toy", Source("toy:COUNT", list_toys, prefix="toy:"))
    return tmp_path


def test_an_input_of_an_added_kind_is_accepted(sounds: Path) -> None:
    check_there(["toy:2"], SourceConfig())
    assert [item.id for item in list_inputs(["toy:2", "toy:1"], SourceConfig()).items] == [
        *("toy/0.wav", "toy/1.wav", "toy/2.wav"),
    ]


def test_the_error_of_a_wrong_input_names_all_kinds_and_so_the_added_one(sounds: Path) -> None:
    for inputs in ([], ["no such file"]):
        with pytest.raises(SourceError) as caught:
            list_inputs(inputs, SourceConfig())
        assert all(source.accepts in str(caught.value) for source in SOURCES.values())
        assert "toy:COUNT" in str(caught.value)
    with pytest.raises(SourceError, match="toy:COUNT"):
        check_there(["no such file"], SourceConfig())
    with pytest.raises(SourceError, match=r"several kinds: .*\(files\), 'toy:1' \(toy\)"):
        list_inputs(["toy:1", str(sounds)], SourceConfig())


def test_an_added_source_is_dreamed(sounds: Path) -> None:
    run = augment("toy:2", sounds / "out", "recipe.steps=1")
    assert run["counts"]["dreams"] == 2
    assert {example["source_id"] for example in load(sounds / "out").values()} == {"toy/0.wav", "toy/1.wav"}
