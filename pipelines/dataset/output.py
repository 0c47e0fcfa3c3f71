"""The output folder: what may be written where, and how a dataset gets its name, whole or not at all.

The files of an unfinished run are in ``<output>.incomplete`` beside the output, where the records of a run that was
stopped wait for the next one. A dataset that is replaced is ``<output>.replaced`` until the new one has its name. Both
have a marker file: nothing without it is ever removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from pipelines.dataset.scratch import Scratch
from pipelines.files.locations import local_path

MARKER = ".dreambeam"

_log = logging.getLogger("dreambeam")

_OWN_FILES = re.compile(
    r".*\.tfrecord-\d+-of-\d+|dataset_info\.json|features\.json|.*\.labels\.txt|provenance\.parquet|failures\.jsonl|run\.json"
    r"|croissant\.json|load\.py"
)


class OutputError(ValueError):
    """The output folder cannot be used; the message is one line that names the remedy."""


def resolve_output(output: str | os.PathLike[str], inputs: Sequence[str] = ()) -> Path:
    """Return the absolute path of the output, links followed.

    Raises `OutputError` if it is not a local folder, it is the working directory, or an input lies inside it.
    """
    given = os.fspath(output)
    place = local_path(given) if given else None
    if place is None:
        raise OutputError(f"cannot write {given!r}: --output must be a local folder")
    target = Path(os.path.realpath(place))
    if target == Path(os.path.realpath(os.curdir)):
        raise OutputError(f"{given!r} is the working directory: give a folder inside it")
    for parent in target.parents:
        if (parent / "run.json").is_file() and not foreign_dataset(parent):
            raise OutputError(f"the output {given} lies inside the dataset {parent}: give another --output")
    for item in inputs:
        source = local_path(item)
        if source and Path(os.path.realpath(source)).is_relative_to(target):
            raise OutputError(f"the input {item} lies inside the output {given}: give another --output")
    return target


def check_output(
    output: Path, *, overwrite: bool, foreign: Callable[[Path], str] | None = None, what: str = "dataset"
) -> None:
    """Refuse an output that holds something, unless it is one of ours and `overwrite` is given.

    `foreign` tells why a folder is not of ours, "" if it is; None: `foreign_dataset`.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    other = "another --output" if what == "dataset" else "another folder"
    if reason := (foreign or foreign_dataset)(output):
        raise OutputError(f"{output} exists and is not a dreambeam {what} ({reason}): give {other}")
    if not overwrite:
        raise OutputError(f"{output} exists already: add --overwrite to replace it, or give {other}")


@contextlib.contextmanager
def unfinished(
    output: Path, *, overwrite: bool, resume: bool = True, check: Callable[..., None] = check_output
) -> Iterator[Scratch]:
    """Give a scratch folder beside the output, and remove it in the end.

    If the block fails, or the run is killed, the finished records stay for the next run.

    Args:
        output: the folder.
        overwrite: it may replace what is there.
        resume: keep the records of an earlier run; otherwise the folder is empty.
        check: refuses an output, as `check_output` does.

    Raises:
        OutputError: the output exists already, cannot be written, or another run is writing it.
    """
    root = output.parent / f"{output.name}.incomplete"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        lock_path = output.parent / f".{output.name}.lock"
        lock_path.touch()
        lock = filelock.FileLock(lock_path, blocking=False)
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(f"another run is writing {output}: wait for it, or give another --output") from error
    except OSError as error:
        raise OutputError(f"cannot write {output.parent}: {error.strerror}; give another --output") from error
    ours = False
    try:
        _recover(output)
        check(output, overwrite=overwrite)  # under the lock: another run may just have published
        if root.exists() and not (root / MARKER).exists():
            raise OutputError(f"{root} is in the way and not dreambeam's: move it, or give another --output")
        ours = True
        scratch = Scratch(str(root))
        _clear(scratch, keep_records=resume)
        root.mkdir(exist_ok=True)
        (root / MARKER).touch()
        for folder in (scratch.spill, scratch.parts, scratch.progress, scratch.dataset):
            os.makedirs(folder, exist_ok=True)
        yield scratch
        _clear(scratch, keep_records=False)
    except BaseException:
        if ours:
            _clear(Scratch(str(root)), keep_records=True)
            if root.exists():
                _log.warning(
                    "finished records are kept in %s: the same command resumes from there (--no-resume: starts anew)",
                    root,
                )
        raise
    finally:
        with contextlib.suppress(OSError):  # while it is held: afterwards the file may be another run's lock
            lock_path.unlink(missing_ok=True)
        lock.release()


def _clear(scratch: Scratch, *, keep_records: bool) -> None:
    """Remove the scratch folder, or all of it but the records; without records nothing is kept."""
    root = Path(scratch.root)
    if not keep_records or not any(path.stat().st_size for path in Path(scratch.spill).glob("*/*.records")):
        shutil.rmtree(root, ignore_errors=True)
        return
    for path in root.iterdir():
        if path.name == MARKER or path == Path(scratch.spill):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def replace_output(dataset: Path, output: Path) -> None:
    """Give the dataset the output's name; the old content goes only when the new one is in its place."""
    if output.exists():
        if any(output.iterdir()):
            (output / MARKER).touch()
        os.replace(output, _replaced(output))
    try:
        os.replace(dataset, output)
    finally:
        _recover(output)


def _recover(output: Path) -> None:
    """Remove the dataset that was replaced; if the run was killed before the new one had its name, bring it back."""
    old = _replaced(output)
    if not old.exists():
        return
    if not output.exists():
        os.replace(old, output)
        (output / MARKER).unlink(missing_ok=True)
    elif (old / MARKER).exists():
        shutil.rmtree(old)
    elif old.is_dir() and not any(old.iterdir()):
        old.rmdir()
    else:
        raise OutputError(f"{old} is in the way and not dreambeam's: move it, or give another --output")


def _replaced(output: Path) -> Path:
    return output.parent / f"{output.name}.replaced"


def foreign_dataset(output: Path) -> str:
    """Return why a folder is not a dataset of ours; the empty string if it is."""
    if not output.is_dir():
        return "it is a file"
    try:
        if "dreambeam" not in json.loads((output / "run.json").read_text())["versions"]:
            return "its run.json is another program's"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has no run.json of ours"
    unknown = [
        item.name for item in sorted(output.iterdir()) if not (_OWN_FILES.fullmatch(item.name) and item.is_file())
    ]
    return f"it holds {unknown[0]!r}" if unknown else ""
