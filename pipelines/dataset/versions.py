"""What shapes the bits of audio beside the recipe: versions of libraries, and the processor."""

from __future__ import annotations

import functools
import importlib.metadata
import platform


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of all that shapes the audio: a replay on the same ones is exact."""
    import soundfile

    found = {name: _version(name) for name in ("dreambeam", "numpy", "soundfile", "soxr", "tensorflow")}
    return {**found, "libsndfile": soundfile.__libsndfile_version__, "machine": platform.machine()}


@functools.cache
def processor() -> str:
    """Return the name of this machine's processor: libraries choose their instructions, and so the last bits, by it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:  # another system than Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
