"""The arithmetic of a machine: what is found of a processor, its limits, and datasets that travel."""

from __future__ import annotations

import importlib
import json
import os
import runpy
from pathlib import Path

import pytest
from paths import REPOSITORY
from processes import run_commands
from recordings import record

from augment.determinism import arithmetic
from augment.determinism.arithmetic import LIMIT, Arithmetic, fast_products, follow, instructions

AVX2 = ("sse4_1", "avx", "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl")


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return monkeypatch


@pytest.mark.parametrize(
    ("flags", "limit", "expected", "products"),
    [
        (AVX512, None, "AVX-512", "float32"),
        ((*AVX512, "avx512_bf16"), None, "AVX-512", "bfloat16"),
        ((*AVX512, "avx512_bf16"), "AVX512_CORE", "AVX-512", "float32"),
        ((*AVX512, "avx512_bf16"), "avx2", "AVX2", "float32"),
        ((*AVX512, "amx_bf16"), "DEFAULT", "AVX-512", "bfloat16"),
        (AVX2, None, "AVX2", "float32"),
        (AVX2, "AVX512_CORE", "AVX2", "float32"),  # a limit does not make a processor newer
        (AVX2, "SSE41", "SSE4.1", "float32"),
        (("sse4_1", "avx"), None, "AVX", "float32"),
    ],
)
def test_instructions_are_the_newest_that_processor_and_limit_allow(
    cpu: pytest.MonkeyPatch, flags: tuple[str, ...], limit: str | None, expected: str, products: str
) -> None:
    cpu.setattr(arithmetic, "_cpu_flags", lambda: frozenset(flags))
    if limit:
        cpu.setenv(LIMIT, limit)
    assert (instructions(), fast_products()) == (expected, products)


@pytest.mark.parametrize(
    ("limit", "unknown"), [("", False), ("avx2", False), ("DEFAULT", False), ("AVX512_CORE", False), ("AVX-2", True)]
)
def test_a_limit_that_onednn_ignores_is_noticed(cpu: pytest.MonkeyPatch, limit: str, unknown: bool) -> None:
    cpu.setenv(LIMIT, limit)
    assert arithmetic.limit_is_unknown() == unknown
    lines = list(importlib.import_module("pipelines.cli.commands.doctor_command")._arithmetic())
    assert lines[0][1].startswith("arithmetic: ")
    assert [state for state, _ in lines[1:]] == ["warn"] * unknown


def test_other_machines_go_by_their_name(cpu: pytest.MonkeyPatch) -> None:
    cpu.setattr("platform.machine", lambda: "arm64")
    assert instructions() == "arm64"


@pytest.mark.parametrize(("then", "limit"), [("AVX2", "AVX2"), ("SSE4.1", "SSE41"), ("AVX-512", None), ("arm64", None)])
def test_a_newer_processor_follows_the_arithmetic_of_an_older_one(
    cpu: pytest.MonkeyPatch, then: str, limit: str | None
) -> None:
    cpu.setattr(arithmetic, "_cpu_flags", lambda: frozenset(AVX512))
    cpu.setenv(LIMIT, "DEFAULT" if limit else "")
    follow(Arithmetic("cpu", then, True, "float32"))
    assert (os.environ.get(LIMIT) or None) == limit


pytestmark = pytest.mark.skipif(instructions() not in ("AVX2", "AVX-512"), reason="this processor has no AVX2")
ID = "bell/a.wav:deep_dream:0"


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was made with AVX2."""
    root = tmp_path_factory.mktemp("travelled")
    record(root / "in/bell/a.wav")
    settings = ("steps=6", "update=normalised", "hold=null", "arithmetic=fast")
    flags = [flag for each in settings for flag in ("--set", f"recipe.{each}")]
    command = ("augment", "--input", root / "in", "--output", root / "out", "--target", "Siren", *flags)
    made, verified = run_commands(command, ("verify", root / "out"), **{LIMIT: "AVX2"})
    assert made.code == 0, made.stderr
    assert "arithmetic: AVX2, oneDNN on; fast: products in float32" in made.stdout
    assert verified.code == 0
    assert "made: 1 dream on AVX2, oneDNN on; this machine: AVX2, oneDNN on" in verified.stdout
    return root / "out"


@pytest.mark.slow
def test_a_record_made_with_avx2_replays_to_the_bit_on_a_newer_processor(travelled: Path) -> None:
    (found,) = run_commands(("replay", travelled, "--id", ID, "--json"), **{LIMIT: ""})
    assert (found.code, json.loads(found.stdout)["exact"]) == (0, True), found.stderr


@pytest.mark.slow
def test_a_record_made_on_newer_instructions_is_held_to_score_and_snr(travelled: Path) -> None:
    replay = ("replay", travelled, "--id", ID)
    found, as_json, verified = run_commands(replay, (*replay, "--json"), ("verify", travelled), **{LIMIT: "SSE41"})
    assert "made on other arithmetic (AVX2, oneDNN on, float32 products; here SSE4.1" in found.stdout
    assert "the dream agrees with its record: target's score" in found.stdout
    assert "not the same" not in found.stdout
    told = json.loads(as_json.stdout)
    assert (told["exact"], told["agreement"]["holds"], told["arithmetic"]["now"][:6]) == (False, True, "SSE4.1")
    assert "made: 1 dream on AVX2, oneDNN on; this machine: SSE4.1, oneDNN on\n" in verified.stdout
    assert (found.code, as_json.code, verified.code) == (0, 0, 0)


@pytest.mark.slow
def test_a_dataset_does_not_differ_from_itself(
    travelled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = REPOSITORY / "docs/examples/compare_datasets.py"
    monkeypatch.setattr("sys.argv", [str(script), str(travelled), str(travelled)])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out == (
        "deep_dream: 1 dreams, 1 equal; sounds: SNR inf dB, least inf; score: 0.000, most 0.000; "
        "SNR to the source: 0.00 dB, most 0.0; reached in one only: 0\n"
    )


@pytest.mark.slow
def test_provenance_and_run_name_the_arithmetic(travelled: Path) -> None:
    expected = {"device": "cpu", "instructions": "AVX2", "onednn": True, "products": "float32"}
    assert json.loads((travelled / "run.json").read_text())["arithmetic"] == expected
