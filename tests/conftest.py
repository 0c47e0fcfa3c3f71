"""Fixtures that several test modules share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from browser import Browser

    from augment.models.yamnet import DreamingModel

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)  # the same draws every time
settings.register_profile("fuzz", deadline=None, print_blob=True)  # fresh draws: `make fuzz`
settings.load_profile("repeatable")

_MEMORY: dict[str, bytes] = {}


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of development data that is not part of the repository."""
    folder = Path(os.environ.get("DREAMBEAM_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared data in {folder}: set DREAMBEAM_SHARED to the folder that holds data/ and reference/")
    return folder


@pytest.fixture(scope="session")
def model() -> DreamingModel:
    """YAMNet for dreaming, from wherever its weights are; tests that need no model import no TensorFlow."""
    from augment.models.yamnet import load_dreaming_model

    return load_dreaming_model()


@pytest.fixture(scope="module")
def known_ontology(shared: Path) -> Iterator[None]:
    """Let AudioSet's ontology be found without a download."""
    from augment.targets.ontology import audioset_ontology

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DREAMBEAM_ONTOLOGY", str(shared / "data" / "audioset_ontology.json"))
        audioset_ontology.cache_clear()
        yield
    audioset_ontology.cache_clear()


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for pages; the test is skipped where there is none."""
    from browser import browser

    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of sound files and of a dataset made of them (`published.publish`), for tests that damage copies."""
    from published import publish

    root = tmp_path_factory.mktemp("published")
    publish(root)
    return root


@pytest.fixture(scope="session")
def _memory_file_system() -> type:
    """Give Beam a file system "mem://", whose files are the entries of a dict, in place of gs:// and s3://."""
    from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            limit = len(_MEMORY.get("mem:break after", b""))
            if limit and self.tell() + (size if size and size > 0 else 0) > limit:
                raise OSError("connection reset")
            return super().read(size)

    class MemoryFileSystem(FileSystem):
        @classmethod
        def scheme(cls) -> str:
            return "mem"

        def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
            return (self.metadata(uri) for uri in sorted(_MEMORY) if uri.startswith(dir_or_prefix))

        def metadata(self, path: str) -> FileMetadata:
            if path not in _MEMORY:
                raise BeamIOError(f"no such object: {path}")
            return FileMetadata(path, len(_MEMORY[path]), 1.0)

        def open(self, path: str, *args: Any, **kwargs: Any) -> Stream:
            return Stream(_MEMORY[path])

        def exists(self, path: str) -> bool:
            return path in _MEMORY

        def has_dirs(self) -> bool:
            return False

        def join(self, basepath: str, *paths: str) -> str:
            return "/".join((basepath.rstrip("/"), *paths))

        def split(self, path: str) -> tuple[str, str]:
            head, _, tail = path.rpartition("/")
            return head, tail

        def _unsupported(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        mkdirs = create = copy = rename = size = last_updated = checksum = delete = _unsupported

    return MemoryFileSystem


@pytest.fixture
def memory_files(_memory_file_system: type) -> Iterator[dict[str, bytes]]:
    """Files of Beam's file system "mem://": uri to bytes."""
    _MEMORY.clear()
    yield _MEMORY
    _MEMORY.clear()
