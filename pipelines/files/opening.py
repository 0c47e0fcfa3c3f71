"""Opening a sound with libsndfile, from a file of any file system or from bytes, in a form that it reads to its end.

Takes the path or URI of a file, or its bytes; gives an `Opener`. The container is checked first (`headers`): an empty
file, one that is cut off, and a header out of range are a `ClipError`. A wrong length in a header is patched, and MPEG
audio is laid anew where libsndfile would stop too early (`mpeg`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, BinaryIO

import soundfile

from augment.sound.samples import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from pipelines.files import headers, mpeg
from pipelines.files.containers import ClipError, open_stream, read_state
from pipelines.files.foreign import foreign
from pipelines.files.headers import Header
from pipelines.files.locations import local_path
from pipelines.files.mpeg import Frames
from pipelines.files.pieces import pieces_of
from pipelines.messages import one_line

_REMEDY = (
    "expected WAV, FLAC, Ogg Vorbis, Opus, MP3 or AIFF: convert it to WAV or FLAC (ffmpeg -i OLD NEW.flac) or leave it "
    "out"
)


class Sound(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end.

    python-soundfile seeks to where it already is after every block of a seekable file. That breaks FLAC of
    unknown length, and loses samples at the end of Ogg Vorbis; a file that says it is not seekable is spared.
    """

    can_seek = True
    note = ""  # as in `soundfiles.Shape`
    announced = True  # `frames` is what the file says; else it is more than there are

    def seekable(self) -> bool:
        """Say no, whatever the file can."""
        return False


Opener = Callable[[], AbstractContextManager[Sound]]
"""Opens a sound at its first frame, as often as it is called."""


def file_opener(uri: str) -> Opener:
    """Return what opens a file of any file system."""
    return lambda: _opened_file(uri)


def bytes_opener(data: bytes, name: str) -> Opener:
    """Return what opens the bytes of a sound file; `name` is for messages."""
    return lambda: _opened_bytes(data, name)


def check_shape(sample_rate: int, channels: int, frames: int, name: str) -> None:
    """Refuse a rate, a number of channels or a length that no recording has with a `ClipError`."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        fault = (
            f"says {sample_rate} Hz; expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz: resample it, or correct its "
            "header"
        )
    elif channels > MAX_CHANNELS:
        fault = f"has {channels} channels; expected at most {MAX_CHANNELS}: mix it down first"
    elif frames <= 0:
        fault = "holds no samples; copy it again from its source, or leave it out"
    else:
        return
    raise ClipError(f"{name} {fault}", "validate")


class _Guarded:
    """A stream for libsndfile's callbacks, which cannot raise: the first error is kept for `check`."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.error: Exception | None = None

    def _guarded(self, call: Any, default: Any) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever the client raises; `check` raises it again
            self.error = self.error or error
            return default

    def read(self, count: int) -> bytes:
        return self._guarded(lambda: self.stream.read(count), b"")

    def seek(self, offset: int, whence: int = 0) -> None:
        self._guarded(lambda: self.stream.seek(offset, whence), None)

    def tell(self) -> int:
        return self._guarded(self.stream.tell, 0)

    def check(self, name: str) -> None:
        """Raise the error that was kept: it is the cause of whatever libsndfile reports."""
        if self.error is not None:
            raise ClipError(f"{name} could not be read ({one_line(self.error)}); try again", "read") from self.error


@contextmanager
def _opened_file(uri: str) -> Iterator[Sound]:
    name = repr(uri)
    state = read_state(uri)
    header = _checked(name, state[0], lambda: headers.file_header(uri, *state))
    path = local_path(uri)
    native = None if path is None or header.patch else path if os.name == "nt" else os.fsencode(path)
    with ExitStack() as stack:

        def stream() -> BinaryIO:
            return stack.enter_context(open_stream(uri))

        yield _repaired(stack, native, stream, state[0], header, lambda: mpeg.file_frames(uri, *state), name)


@contextmanager
def _opened_bytes(data: bytes, name: str) -> Iterator[Sound]:
    size = len(data)
    header = _checked(name, size, lambda: headers.find_header(io.BytesIO(data), size))
    with ExitStack() as stack:

        def frames() -> Frames | None:
            return mpeg.find_frames(io.BytesIO(data), size, name)

        yield _repaired(stack, None, lambda: io.BytesIO(data), size, header, frames, name)


def _checked(name: str, size: int, find_header: Callable[[], Header]) -> Header:
    """Refuse an empty file, and one that lacks bytes that its container announces; return its header."""
    if not size:
        raise ClipError(f"{name} is empty (0 bytes); copy it again from its source, or leave it out", "read")
    header = find_header()
    if header.missing:
        raise ClipError(
            f"{name} is cut off: {header.missing}; copy it again from its source, or re-encode what is there "
            "(ffmpeg -i OLD NEW)",
            "decode",
        )
    return header


def _repaired(
    stack: ExitStack,
    native: str | bytes | None,
    open_bytes: Callable[[], BinaryIO],
    size: int,
    header: Header,
    find_frames: Callable[[], Frames | None],
    name: str,
) -> Sound:
    """Open a sound in a form that libsndfile reads to its end.

    Args:
        stack: closes what is opened.
        native: path that libsndfile opens itself; None lets it read from `open_bytes`.
        open_bytes: opens the sound's bytes, of this size.
        size: bytes.
        header: of the container.
        find_frames: finds the frames of MPEG audio.
        name: of the sound, quoted, for messages.
    """

    def guarded(stream: BinaryIO) -> _Guarded:
        guard = _Guarded(stream)
        stack.push(lambda *_: guard.check(name))
        return guard

    source = native
    if source is None:
        stream = open_bytes()
        source = guarded(pieces_of(stream, [(0, size)], patch=header.patch) if header.patch else stream)
    sound = stack.enter_context(_sound(source, name))
    if sound.format == "MP3" and (frames := find_frames()) is not None and not frames.plain:
        source = guarded(mpeg.relaid(open_bytes(), frames))
        sound = stack.enter_context(_sound(source, name, announced=frames.announced))
    sound.note = header.note
    return sound


@contextmanager
def _sound(source: Any, name: str, *, announced: bool = True) -> Iterator[Sound]:
    """Open a path or stream with libsndfile; `announced` says whether its length is known."""
    try:
        sound = Sound(source)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw
        raise ClipError(
            f"{name} is {foreign(source) or f'not readable audio ({one_line(error)})'}; {_REMEDY}", "decode"
        ) from error
    with sound:
        if sound.format == "MP3" and (kind := foreign(source)):  # libmpg123 finds frames in the noise of others
            raise ClipError(f"{name} is {kind}; {_REMEDY}", "decode")
        sound.can_seek = soundfile.SoundFile.seekable(sound)
        sound.announced = announced
        check_shape(sound.samplerate, sound.channels, sound.frames, name)
        yield sound
