"""Players: which examples are chosen, and that what plays and shows is what was given."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from example_rows import table
from html_reader import HOSTILE, Reader
from recordings import sound

from evaluation.pages import players
from evaluation.pages.players import Pair


def pair(before: np.ndarray, after: np.ndarray, rate: int = 16_000, title: str = "t") -> Pair:
    return Pair(title, {title: title}, before.astype(np.float32), after.astype(np.float32), rate)


def sounds_of(html: str) -> list[tuple[np.ndarray, int]]:
    uris = re.findall(r'src="data:audio/flac;base64,([^"]*)"', html)
    return [soundfile.read(io.BytesIO(base64.b64decode(uri)), always_2d=True) for uri in uris]


def test_dreams_are_ranked_by_success_then_place_then_change() -> None:
    rows = table(
        {"source_id": "far", "target_rank_after": 300, "snr_db": 20.0},
        {"source_id": "loud", "result_top1": "success", "target_rank_after": 1, "snr_db": 10.0},
        {"source_id": "skipped", "result_top1": "skipped", "target_rank_after": 1, "snr_db": 60.0},
        {"source_id": "near", "target_rank_after": 2, "snr_db": 5.0},
        {"source_id": "quiet", "result_top1": "success", "target_rank_after": 1, "snr_db": 40.0},
        {"source_id": "near, quieter", "target_rank_after": 2, "snr_db": 30.0},
    )
    assert list(players.rank(rows)["source_id"]) == ["quiet", "loud", "near, quieter", "near", "far", "skipped"]


def test_away_from_a_class_the_farther_is_the_better() -> None:
    rows = table(*({"source_id": str(place), "away": True, "target_rank_after": place} for place in (2, 4, 1)))
    assert list(players.rank(rows)["source_id"]) == ["4", "2", "1"]


def test_where_the_judge_knows_no_target_the_greater_shift_is_the_better() -> None:
    unknown = {"result_top1": None, "target_rank_after": None}
    rows = table(*({"source_id": str(shift), "js_divergence": shift, **unknown} for shift in (0.1, 0.9, 0.5)))
    assert list(players.rank(rows)["source_id"]) == ["0.9", "0.5", "0.1"]


def test_best_and_worst_are_the_ends_and_the_middle_is_drawn_by_the_seed() -> None:
    rows = table(*({"source_id": f"{place:03d}", "target_rank_after": place} for place in range(2, 102)))
    ranked = players.rank(rows)
    chosen = [(kind, row["target_rank_after"]) for kind, row in players.choose(ranked, 0)]
    assert [each for each in chosen if each[0] != "Middle"] == [
        ("Best", 2),
        ("Best", 3),
        ("Worst", 101),
        ("Worst", 100),
    ]
    middle = {place for kind, place in chosen if kind == "Middle"}
    assert len(middle) == 2
    assert all(42 <= place <= 61 for place in middle)
    first, again, other = ([row["id"] for _, row in players.choose(ranked, seed)] for seed in (0, 0, 1))
    assert first == again != other


def test_different_clips_are_chosen_where_there_are_any_and_no_row_twice() -> None:
    rows = table(*({"source_id": name, "target_rank_after": place} for place, name in enumerate("aabaccddc", 2)))
    chosen = [(kind, row["source_id"], row["id"]) for kind, row in players.choose(players.rank(rows))]
    assert chosen[:2] == [("Best", "a", "00000"), ("Best", "b", "00002")]
    assert chosen[-2:] == [("Worst", "c", "00008"), ("Worst", "d", "00007")]
    assert len({id_ for *_, id_ in chosen}) == len(chosen)
    assert len(players.choose(players.rank(rows.head(1)))) == 1
    assert players.choose(players.rank(table({"source_id": "a", "result_top1": "skipped"}))) == []


def test_a_player_holds_the_given_sounds_at_16_bits() -> None:
    before, after = sound("before", 0.5, 22_050, 2), sound("after", 0.5, 22_050, 2)
    (first, rate), (second, _) = sounds_of(players.players([pair(before, after, 22_050)]))
    assert rate == 22_050
    np.testing.assert_allclose(first, before, atol=1 / 32768)
    np.testing.assert_allclose(second, after, atol=1 / 32768)


def test_above_full_scale_both_are_turned_down_alike() -> None:
    before = sound("before")
    (first, _), (second, _) = sounds_of(players.players([pair(before, 8 * before)]))
    assert np.abs(second).max() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(8 * first, second, atol=5e-4)


def test_long_sounds_are_cut_many_channels_mixed_and_heavy_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    html = players.players([pair(sound("long", 12, 8000, 3), sound("after", 12, 8000, 3), 8000)])
    assert [(len(each), each.shape[1]) for each, _ in sounds_of(html)] == [(80_000, 1)] * 2
    assert "the first 10 of 12.0 s" in html
    monkeypatch.setattr(players, "SOUND_BYTES", 60_000)
    html = players.players([pair(sound(str(n)), sound(f"{n} after")) for n in range(3)])
    assert len(sounds_of(html)) == 2
    assert "2 more are left out" in html


def test_a_spectrogram_shows_a_tone_at_its_place() -> None:
    time = np.arange(48_000) / 16_000
    tone = (np.sin(2 * np.pi * 2000 * time) * (time < 1.5))[:, None]
    found = players.levels(tone, 16_000)
    assert found.shape[0] <= 320
    assert found.shape[1] <= 160
    peak = found[: len(found) // 3].mean(axis=0).argmax() / found.shape[1] * 8000
    assert peak == pytest.approx(2000, abs=60)
    assert found[: len(found) // 3].max() > found[-len(found) // 3 :].max() + 100


@pytest.mark.parametrize("samples", [1, 100])
def test_silence_and_the_shortest_sounds_have_pictures(samples: int) -> None:
    silence = np.zeros((samples, 1))
    assert len(sounds_of(players.players([pair(silence, silence)]))) == 2


def test_titles_and_facts_stay_text() -> None:
    tone = sound("tone", 0.1)
    plain, found = (
        Reader(players.players([pair(tone, tone, title=each)])).elements for each in ("x", " ".join(HOSTILE))
    )
    assert [tag for tag, _ in found] == [tag for tag, _ in plain]
