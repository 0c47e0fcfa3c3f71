import pytest

from evaluation.utility.folds import Clip, FoldError, check_clips, draw_shots, splits


def clips(per_class: int = 4, folds: int = 2, group_of: int = 1) -> list[Clip]:
    """Return clips a0, a1 ... b0 ...: fold by fold, so many of each class, groups of so many."""
    return [
        Clip(f"{fold}/{label}{number}", label, str(fold), f"{fold}{label}{number // group_of}")
        for fold in range(folds)
        for label in "ab"
        for number in range(per_class)
    ]


def test_each_clip_is_tried_once_by_a_classifier_that_has_not_learned_from_its_fold():
    given = clips(folds=3)
    found = splits(given)
    assert sorted(place for split in found for place in split.test) == list(range(len(given)))
    for split in found:
        assert {given[place].fold for place in split.test} == {split.fold}
        assert split.fold not in {given[place].fold for place in split.train}


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_so_many_clips_of_each_class_are_drawn_of_those_that_may_be(shots):
    given = clips()
    train = splits(given)[0].train
    drawn = draw_shots(given, train, shots, seed=3)
    assert set(drawn) <= set(train)
    assert [given[place].label for place in drawn].count("a") == shots == len(drawn) / 2
    assert drawn == draw_shots(given, tuple(reversed(train)), shots, seed=3)


def test_other_seeds_draw_other_clips():
    given = clips(8)
    train = splits(given)[0].train
    assert len({draw_shots(given, train, 2, seed) for seed in range(5)}) > 1


def test_a_class_with_fewer_clips_gives_all_and_none_draws_every_clip():
    given = clips(2)
    train = splits(given)[0].train
    assert draw_shots(given, train, 5, 0) == draw_shots(given, train, None, 0) == train


def test_clips_of_one_recording_are_drawn_only_where_there_is_no_other_recording_left():
    given = clips(6, group_of=3)  # two recordings of a class in a fold
    train = splits(given)[0].train
    for seed in range(5):
        drawn = draw_shots(given, train, 2, seed)
        assert len({given[place].group for place in drawn}) == 4
        assert len(draw_shots(given, train, 3, seed)) == 6


def test_clips_that_make_folds_are_taken():
    check_clips(clips())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "all in no fold; expected two folds"),
        (clips(folds=1), "all in fold '0'; expected two folds or more: name their column with --fold-column"),
        ([clip for clip in clips() if clip.label == "a"], "all 'a'; expected two classes"),
        ([clip for clip in clips() if clip.fold == "0" or clip.label == "a"], "class 'b' lies in fold '0' only"),
        ([*clips(), Clip("x", "a", "0", "1a0")], "group '1a0' lies in folds '1' and '0'"),
    ],
)
def test_clips_that_make_no_folds_are_refused_in_one_line(given, said):
    with pytest.raises(FoldError, match=said) as caught:
        check_clips(given)
    assert "\n" not in str(caught.value)
