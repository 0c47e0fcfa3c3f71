"""Lineage: what provenance leads back to."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.dreams.lineage import Recording, recording_of
from pipelines.files.tfrecord import frame

FILE = {"uri": "/a.wav", "sha256": "file"}


def shard(path: Path, provenance: str | None) -> dict[str, object]:
    """Write a shard of two records, and return a source that is the second of them."""
    import tensorflow as tf

    values = [] if provenance is None else [provenance.encode()]
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    record = tf.train.Example(features=tf.train.Features(feature={"provenance": feature})).SerializeToString()
    path.write_bytes(frame(b"another") + frame(record))
    return {"uri": str(path), "sha256": f"record of {path.name}", "record_offset": len(frame(b"another"))}


def test_a_file_is_its_own_recording_whatever_piece_of_it() -> None:
    assert recording_of({**FILE, "start": 5, "stop": 9}) == recording_of(FILE) == Recording("file", True)


def test_a_dream_of_a_dream_goes_back_to_the_file(tmp_path: Path) -> None:
    first = shard(tmp_path / "one", json.dumps({"source": FILE}))
    second = shard(tmp_path / "two", json.dumps({"source": first}))
    assert recording_of(second) == Recording("file", True)
    assert recording_of({**second, "uri": (tmp_path / "two").as_uri()}) == Recording("file", True)


def test_a_record_of_another_origin_is_the_recording(tmp_path: Path) -> None:
    for provenance in (None, "", "by hand", "[]", "{}", '{"source": [1]}'):
        source = shard(tmp_path / "theirs", provenance)
        source["uri"] = str((tmp_path / "theirs").rename(tmp_path / f"theirs {provenance}"))
        assert recording_of(source) == Recording("record of theirs", True), provenance


def test_where_the_way_back_is_lost_the_last_that_is_known_stands_for_it(tmp_path: Path) -> None:
    lost = {"uri": str(tmp_path / "nowhere"), "sha256": "lost", "record_offset": 0}
    assert recording_of(lost) == Recording("lost", False)
    assert recording_of(shard(tmp_path / "one", json.dumps({"source": lost}))) == Recording("lost", False)
    damaged = shard(tmp_path / "damaged", json.dumps({"source": FILE}))
    content = bytearray((tmp_path / "damaged").read_bytes())
    content[-6] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    assert recording_of(damaged) == Recording("record of damaged", False)


def test_files_that_lead_in_circles_end(tmp_path: Path) -> None:
    source = {"uri": str(tmp_path / "circle"), "sha256": "x", "record_offset": len(frame(b"another"))}
    assert recording_of(shard(tmp_path / "circle", json.dumps({"source": source}))) == Recording("x", False)
