"""The commands and programs of the README, docs/datasets.md and docs/planning.md, run as written, in their order."""

from __future__ import annotations

import re
import shlex
import shutil

import numpy as np
import pytest
import soundfile
from paths import REPOSITORY

from pipelines.cli import main

ROOT = REPOSITORY
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the README takes for granted: labelled recordings, a table of labels, a file."""
    rng = np.random.default_rng(0)
    names = []
    for label in ("bell", "street"):
        folder = tmp_path / "recordings" / label
        folder.mkdir(parents=True)
        for number in range(2):
            name = f"{label}{number}.wav"
            soundfile.write(folder / name, rng.normal(0, 0.1, 16_000).astype(np.float32), 16_000, subtype="FLOAT")
            names.append((name, label))
    (tmp_path / "labels.csv").write_text("filename,label\n" + "".join(f"{name},{label}\n" for name, label in names))
    rows = [f"recordings/{label}/{name},{label},{'test' if '1' in name else 'train'},1\n" for name, label in names]
    (tmp_path / "manifest.csv").write_text("path,label,split,fold\n" + "".join(rows))
    shutil.copy(tmp_path / "recordings" / "bell" / "bell0.wav", tmp_path / "bell.wav")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("default")
def test_readme_commands_and_programs_run_as_written(workplace, capsys):
    pages = ("README.md", "docs/datasets.md", "docs/planning.md")
    blocks = [block for page in pages for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]
    commands = [
        line for kind, text in blocks if kind == "sh" for line in text.splitlines() if line[:10] == "dreambeam "
    ]
    programs = [text for kind, text in blocks if kind == "python"]
    assert len(commands) >= 4
    assert len(programs) >= 3
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command, comments=True)[1:])
        assert ended.value.code == 0, (command, capsys.readouterr().err)
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})  # noqa: S102  the README's own programs
    assert (workplace / "cat.png").exists()


def test_readme_names_only_files_that_exist():
    for page in ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))):
        folder = (ROOT / page).parent
        text = (ROOT / page).read_text(encoding="utf-8")
        for link, config in re.findall(r"\]\(([^):]+)\)|`(configs/[^`]*)`", text):
            assert (folder / link if link else ROOT / config).exists(), (page, link, config)
