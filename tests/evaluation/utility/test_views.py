import numpy as np
import pytest
from recordings import sound

from augment.models.yamnet import padded_length, patch_count
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.dream_views import Dreams, DreamSpec
from evaluation.utility.folds import Clip
from evaluation.utility.head_attacks import RECIPE, HeadDreams
from evaluation.utility.training_sets import (
    DREAMS,
    TRAINING_SETS,
    Component,
    StudyData,
    TrainingSet,
    make_examples,
    slots,
)
from evaluation.utility.views import FRAMES, Corrupted, LoadedClip, Original, ViewStore

LINEAR = CLASSIFIERS["linear"]
LABELS = {"bark": 70, "rain": 283}
CLIPS = [
    Clip(
        f"{label}{number}.wav", label, str(number % 2), f"{label}{number}", f"content {label}{number}", {"name": label}
    )
    for label in LABELS
    for number in range(2)
]


def read(where):
    return sound(where["name"], seconds=1.2).astype(np.float32), 16_000


@pytest.fixture
def store(model, tmp_path):
    return ViewStore(CLIPS, read, model, tmp_path / "views")


def test_features_are_yamnets_embeddings_and_log_mels_of_the_clip(store, model):
    embeddings, log_mels = (store.features(Original(), name) for name in ("embeddings", "log_mels"))
    waveform = sound("bark", seconds=1.2)[:, 0].astype(np.float32)
    padded = np.zeros((1, padded_length(len(waveform))), np.float32)
    padded[0, : len(waveform)] = waveform
    found = model.activations(padded, ("embeddings", "log_mel"))
    patches = int(patch_count(len(waveform)))
    np.testing.assert_allclose(embeddings[0], found["embeddings"].numpy()[0, :patches].mean(axis=0), atol=1e-4)
    assert log_mels.shape == (4, FRAMES, 64)
    first = found["log_mel"].numpy()[0, :4].mean(axis=0)
    np.testing.assert_allclose(log_mels[0, 0], first, atol=5e-3)  # kept as float16
    np.testing.assert_array_equal(log_mels[0, 30], log_mels[0, 0])  # 1.2 s, again


def test_views_are_made_once_and_read_from_the_folder_by_another_store(store, model, monkeypatch):
    made = store.features(Corrupted("telephone", 0), "embeddings")
    assert len(list(store.folder.glob("*.npz"))) == 1
    other = ViewStore(CLIPS, read, model, store.folder)
    monkeypatch.setattr(Corrupted, "make", None)
    again = other.features(Corrupted("telephone", 0), "embeddings")
    np.testing.assert_array_equal(made, again)
    assert list(other.features(Corrupted("telephone", 0), "labels")) == ["bark", "bark", "rain", "rain"]


def test_what_shapes_views_names_their_file(store, model, tmp_path):
    changed = [Clip(**{**vars(CLIPS[0]), "content": "other"}), *CLIPS[1:]]
    paths = {
        store.path(Original()),
        store.path(Corrupted("telephone", 0)),
        store.path(Corrupted("telephone", 1)),
        store.path(Corrupted("telephone", 0), 1),
        ViewStore(changed, read, model, store.folder).path(Original()),
        *(store.path(Dreams(spec, model, LABELS)) for spec in DREAMS.values()),
    }
    assert len(paths) == 5 + len(DREAMS)


def loaded() -> list[LoadedClip]:
    return [LoadedClip(clip, read(clip.where)[0][:, 0]) for clip in CLIPS]


def test_a_dream_toward_another_label_says_so_and_one_toward_any_class_keeps_the_clips(model):
    recipe = {"steps": 0}  # labels do not wait for the dream
    toward = Dreams(DreamSpec(recipe, "random", "labels"), model, LABELS).make(loaded(), 0)
    assert {each.label for each in toward} <= set(LABELS)
    own = Dreams(DreamSpec(recipe, "label"), model, LABELS).make(loaded(), 0)
    assert [each.label for each in own] == [clip.label for clip in CLIPS]
    away = Dreams(DreamSpec(recipe, "away"), model, LABELS).make(loaded(), 0)
    assert [each.label for each in away] == [clip.label for clip in CLIPS]
    for each, clip in zip(own, loaded(), strict=True):
        np.testing.assert_array_equal(each.waveform, clip.waveform)
        assert each.snr_db == np.inf


def test_a_dream_does_not_depend_on_its_batch(model):
    dreams = Dreams(DreamSpec({"steps": 2, "snr_db": 20}, "random"), model, LABELS)
    together, alone = dreams.make(loaded(), 1), dreams.make(loaded()[2:3], 1)
    np.testing.assert_array_equal(together[2].waveform, alone[0].waveform)
    assert 19.9 < alone[0].snr_db < 60


def test_a_dream_toward_both_labels_counts_by_halves_and_all_arms_are_of_one_size(store, model):
    spec = DreamSpec({"steps": 0}, "random", "labels")
    data = StudyData(store, model, LABELS, {"other": spec}, tuple(LABELS))
    made = store.features(Dreams(spec, model, LABELS), "labels")
    sizes = set()
    for name in ("none", "mixup", "other", "other_target", "other_both"):
        features, labels = make_examples(TRAINING_SETS[name], data, (0, 2), LINEAR, 0)
        sizes.add((features.shape, labels.shape))
        np.testing.assert_allclose(labels.sum(axis=1), 1)
        np.testing.assert_array_equal(labels[:2], np.eye(2))
        target = np.eye(2)[[list(LABELS).index(made[place]) for place in (0, 2)]]
        wanted = {"other": np.eye(2), "other_target": target, "other_both": (np.eye(2) + target) / 2}
        if name in wanted:
            np.testing.assert_array_equal(labels[2:4], wanted[name])
    assert len(sizes) == 1


def test_an_arm_learns_from_nothing_but_the_clips_that_it_is_given(store, model):
    data = StudyData(store, model, LABELS, {}, tuple(LABELS))
    own = store.features(Original(), "embeddings")
    features, _ = make_examples(TRAINING_SETS["none"], data, (1, 3), LINEAR, 0)
    np.testing.assert_array_equal(features, np.concatenate([own[[1, 3]]] * 5))
    mixed, _ = make_examples(TRAINING_SETS["mixup"], data, (1, 3), LINEAR, 0)
    span = own[3] - own[1]
    shares = (mixed - own[1]) @ span / (span @ span)
    np.testing.assert_allclose(mixed, own[1] + shares[:, None] * span, atol=1e-4)


def test_a_head_is_misled_by_dreams_through_itself(model, tmp_path, monkeypatch):
    from evaluation.judges.head_judge import fit_head

    monkeypatch.setitem(RECIPE, "steps", 8)
    clips = [clip for clip in CLIPS if clip.fold == "0"]
    store = ViewStore(clips, read, model, tmp_path)
    embeddings = store.features(Original(), "embeddings")
    head = fit_head(embeddings, [clip.label for clip in clips])
    white = HeadDreams({"0": head}, model, 25.0)
    dreamed = store.features(white, "embeddings")
    truth = np.array([head.names.index(clip.label) for clip in clips])
    rows = np.arange(len(clips))

    def lead(views: np.ndarray) -> np.ndarray:
        logits = head.logits(views)
        return logits[rows, truth] - logits[rows, 1 - truth]

    assert (lead(dreamed) < lead(embeddings) - 0.5).all()
    assert (lead(dreamed) < lead(store.features(HeadDreams(white.heads, model, 60.0), "embeddings"))).all()


def test_components_come_again_when_there_are_no_more_variants():
    arm = TrainingSet("", "both", (Component("own", variants=1), Component("conventional", variants=2)))
    assert [(each.what, variant) for each, variant in slots(arm, 6)] == [
        ("own", 0),
        ("conventional", 0),
        ("own", 0),
        ("conventional", 1),
        ("own", 0),
        ("conventional", 0),
    ]
