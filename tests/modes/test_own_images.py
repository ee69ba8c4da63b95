"""Classifying a user's own images: alone or in company, unequal classes, inverted, kept in a folder."""

import copy
import dataclasses
import logging
import pickle
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.runs import assert_equal_arrays
from tf_metadrop import Config, MetaLearner, UsageError
from tf_metadrop.data import DATASETS, load_split, user_images


@pytest.fixture(scope="module")
def drawings():
    """Images [class, instance, 28, 28, 1] of strokes, uint8."""
    return load_split("strokes", "data", "val")


def adapted(drawings, **settings):
    learner = MetaLearner(Config(**dict(dataset="strokes", way=5, n_steps=2, blocks=2, inner_lr=0.02) | settings))
    return learner.adapt(drawings[:5, 0], ["a", "b", "c", "d", "e"])


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        (dict(maml=True), 1e-5),
        (dict(), 1e-5),
        (dict(precision="float64"), 1e-12),
        (dict(noise_type="weight_gaussian", precision="float64"), 1e-12),
        (dict(regularizer="info_dropout", maml=True, precision="float64"), 1e-12),
        (dict(inner="metasgd", precision="float64"), 1e-12),
    ],
)
def test_an_image_has_one_answer_alone_and_in_any_company(drawings, settings, tolerance):
    learner = adapted(drawings, **settings)
    query = drawings[:5, 1:9].reshape(-1, 28, 28, 1)  # 40: more than go through the network at a time
    together = learner.predict_proba(query)
    alone = np.concatenate([learner.predict_proba(query[i : i + 1]) for i in range(0, 40, 13)])
    np.testing.assert_allclose(alone, together[::13], rtol=0, atol=tolerance)
    np.testing.assert_allclose(learner.predict_proba(query[8:16]), together[8:16], rtol=0, atol=tolerance)  # a class
    np.testing.assert_allclose(learner.predict_proba(query[::-1])[::-1], together, rtol=0, atol=tolerance)
    assert learner.predict(query[3]).tolist() == [learner.classes[together[3].argmax()]]


def test_where_the_support_is_asked_about_itself_both_ways_are_one(drawings):
    """Its statistics are then the batch's, whichever pass they are taken in."""
    learner = adapted(drawings, precision="float64")
    x = drawings[:5, 0]
    np.testing.assert_allclose(learner.predict_proba(x), learner.predict_proba(x, transductive=True), atol=1e-9)


@pytest.mark.parametrize("counts", [(5, 1, 1, 1, 1), (7, 3, 2, 1, 5), (20, 1, 4, 4, 4), (2, 2, 2, 2, 2), (1, 19)])
def test_classes_get_as_many_images_each(counts):
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    places = user_images.balanced(labels)
    assert np.bincount(labels[places]).tolist() == [max(counts)] * len(counts)
    assert set(places) == set(range(len(labels)))  # none is left out
    for label, count in enumerate(counts):
        times = np.bincount(places, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1 and times.sum() == max(counts), count
    if len(set(counts)) == 1:
        assert places.tolist() == list(range(len(labels)))


def test_a_class_with_more_images_does_not_draw_the_answers_to_it(drawings):
    learner = MetaLearner(Config(dataset="strokes", way=5, n_steps=5, blocks=2, maml=True, precision="float64"))
    equal = learner.adapt(drawings[:5, 0], range(5)).predict_proba(drawings[:5, 6])
    again = learner.adapt([drawings[i, 0] for i in (0, 0, 0, 0, 0, 1, 2, 3, 4)], [0] * 5 + [1, 2, 3, 4])
    np.testing.assert_allclose(again.predict_proba(drawings[:5, 6]), equal, rtol=0, atol=1e-12)  # as often


def inverted(x):
    return 255 - x


def test_inverted_images_are_noticed(drawings):
    learner, query = adapted(drawings), drawings[:5, 1]
    expected = learner.predict_proba(query)
    with pytest.warns(UserWarning, match=r"^5 of the 5 images of x look inverted.*invert=True"):
        learner.predict(inverted(query))
    with pytest.warns(UserWarning, match="1 of the 5 images of support_x look inverted"):
        learner.adapt(np.concatenate([inverted(drawings[:1, 0]), drawings[1:5, 0]]), list("abcde"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner = MetaLearner(learner.config, learner.params)
        mixed = np.concatenate([inverted(drawings[:2, 0]), drawings[2:5, 0]])
        learner.adapt(mixed, list("abcde"), invert="auto")
        np.testing.assert_allclose(learner.predict_proba(inverted(query), invert=True), expected, atol=1e-5)
        np.testing.assert_allclose(learner.predict_proba(inverted(query), invert="auto"), expected, atol=1e-5)
        learner.predict(np.zeros([28, 28]))  # blank paper
        np.testing.assert_allclose(learner.predict_proba(inverted(query), invert=np.True_), expected, atol=1e-5)
    with pytest.raises(UsageError, match="invert='yes' is not known"):
        learner.predict(query, invert="yes")
    photographs = MetaLearner(Config(dataset="mimgnet", way=2, n_steps=1))
    with pytest.raises(UsageError, match='invert="auto" is only for drawings'):
        photographs.adapt(np.ones([2, 84, 84, 3]), [0, 1], invert="auto")


def pil(x):
    return Image.fromarray(np.squeeze(x))


@pytest.mark.parametrize(
    "one",
    [
        lambda x: x,  # [28, 28, 1]
        lambda x: x[..., 0],
        lambda x: x[np.newaxis],
        lambda x: (x[..., 0] / 255).tolist(),
        pil,
        lambda x: pil(x).convert("RGB"),
        lambda x: pil(x).convert("P"),
        lambda x: Image.fromarray(np.squeeze(x).astype(np.uint16) * 257),  # 16-bit grey
        lambda x: Image.fromarray(np.squeeze(x).astype(np.int32) * 257),  # as older Pillow opens it
        lambda x: [x],
        lambda x: [pil(x)],
        lambda x: (x[..., 0],),
        lambda x: np.moveaxis(x, -1, 0),  # channels first
        lambda x: tf.constant(x),
        lambda x: pil(x).resize((28, 28)).convert("RGBA"),
        lambda x: pil(np.kron(x[..., 0], np.ones([5, 5], np.uint8))).reduce(5),
    ],
)
def test_one_image_is_one_image(drawings, one):
    learner = adapted(drawings)
    found = learner.predict_proba(one(drawings[2, 3]))
    np.testing.assert_allclose(found, learner.predict_proba(drawings[2, 3:4]), atol=2e-3)  # "P" rounds
    assert found.shape == (1, 5)


def test_images_of_no_known_form_are_refused_by_what_was_given(drawings):
    learner = adapted(drawings)
    for x, words in [
        (np.zeros([28, 27]), r"x has shape \(28, 27\): give \[n, 28, 28, 1\], or one image \[28, 28, 1\]"),
        (np.zeros([2, 14, 14]), r"x has shape \(2, 14, 14\)"),
        ([np.zeros([28, 28]), np.zeros([14, 14])], "x has images of different shapes"),
        (Image.new("F", (28, 28), 0.5), "x has pixels from 0.5 to 0.5, an unknown scale"),
        ([], r"x has shape \(0,\)"),
        (3, r"x has shape \(\)"),
        ([[np.zeros([28, 28]), np.zeros([28, 27])], [np.zeros([28, 28])]], "x does not hold arrays of the same shape"),
        ("cat.png", "cat.png does not exist: give the path of an image"),
        (["cat.png"], "cat.png does not exist"),
    ]:
        with pytest.raises(UsageError, match=words):
            learner.predict(x)


@pytest.mark.parametrize("settings", [dict(maml=True), dict(precision="float64", inner="metasgd")])
def test_a_classifier_is_kept(drawings, settings, tmp_path):
    learner, query = adapted(drawings, **settings), drawings[:5, 2]
    expected = learner.predict_proba(query)
    learner.save(tmp_path / "new" / "classifier")
    loaded = MetaLearner.load(str(tmp_path / "new" / "classifier"))
    for other in (loaded, copy.deepcopy(learner), pickle.loads(pickle.dumps(learner))):
        np.testing.assert_array_equal(other.predict_proba(query), expected)
        assert other.classes.tolist() == list("abcde")
        assert not other.config.differences(learner.config.as_dict())
        assert_equal_arrays(other.params, learner.params)
        again = other.adapt(drawings[5:8, 0], [3, 1, 2]).predict(query)  # it can be adapted anew
        assert set(again) <= {1, 2, 3}
    np.testing.assert_array_equal(learner.predict_proba(query), expected)  # what the copies did is theirs
    assert MetaLearner.load(tmp_path / "new" / "classifier", n_steps=7).config.n_steps == 7
    text = (tmp_path / "new" / "classifier" / "classifier.json").read_text()
    assert "savedir" not in text and "data_dir" not in text  # whoever gets it learns nothing of this machine


def test_a_learner_that_was_not_adapted_is_kept_too(tmp_path):
    learner = MetaLearner(Config(dataset="strokes", way=3, n_steps=1, blocks=2))
    learner.save(tmp_path / "c")
    loaded = MetaLearner.load(tmp_path / "c")
    assert_equal_arrays(loaded.params, learner.params)
    assert loaded.classes is None and copy.copy(loaded).classes is None
    with pytest.raises(UsageError, match="has not been adapted"):
        loaded.predict(np.zeros([28, 28]))


@pytest.mark.parametrize(
    "labels",
    [
        [3, 1, 2, 0, 4],
        ["a", "é", "c", "日", "e"],
        [1, "b", None, 2.5, True],
        np.arange(5, dtype=np.uint8),
        list(np.arange(5)),
        list(np.array(list("abcde"))),
    ],
)
def test_labels_are_kept(drawings, labels, tmp_path):
    learner = MetaLearner(Config(dataset="strokes", way=5, n_steps=1, blocks=2)).adapt(drawings[:5, 0], labels)
    learner.save(tmp_path / "c")
    loaded = MetaLearner.load(tmp_path / "c")
    assert loaded.classes.dtype == learner.classes.dtype and loaded.classes.tolist() == learner.classes.tolist()


def test_a_broken_or_foreign_classifier_is_refused(drawings, tmp_path):
    learner, folder = adapted(drawings), tmp_path / "c"
    learner.save(folder)
    with pytest.raises(UsageError, match="c exists: give a new folder, or overwrite=True"):
        learner.save(folder)
    learner.save(folder, overwrite=True)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    with pytest.raises(UsageError, match="thesis exists"):
        learner.save(tmp_path / "thesis", overwrite=True)
    (folder / "table.csv").write_text("mine")
    with pytest.raises(UsageError, match="if it holds a classifier and nothing else"):
        learner.save(folder, overwrite=True)
    assert (folder / "table.csv").read_text() == "mine"
    (folder / "table.csv").unlink()
    with pytest.raises(UsageError, match=r"the label \('a', 1\) cannot be written"):
        learner.adapt(drawings[:2, 0], [("a", 1), ("b", 1)]).save(tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "thesis"]  # nothing half written
    arrays, text = (folder / "classifier.npz").read_bytes(), (folder / "classifier.json").read_text()
    for broken, words in [
        (dict(arrays=arrays[:-100]), "is not the one that"),
        (dict(text=text[:50]), "holds no readable classifier"),
        (
            dict(text=text.replace('"format": 1', '"format": 2')),
            r"^\S+ holds a classifier of format 2, but this version reads 1: [^:]*$",
        ),
        (dict(text="{}"), "it lacks 'format'"),
        (
            dict(text=text.replace('"way"', '"new_setting"')),
            "has the setting new_setting, which this version does not know",
        ),
    ]:
        (folder / "classifier.npz").write_bytes(broken.get("arrays", arrays))
        (folder / "classifier.json").write_text(broken.get("text", text))
        with pytest.raises(UsageError, match=words):
            MetaLearner.load(folder)


def test_tensorflow_does_not_warn_of_new_shapes(drawings, caplog):
    """It takes new shapes for a mistake, after the fifth."""
    learner = MetaLearner(Config(dataset="strokes", way=5, n_steps=1, blocks=2))
    with caplog.at_level(logging.WARNING):
        for n in range(1, 7):
            learner.adapt(drawings[:2, :n].reshape(-1, 28, 28, 1), np.repeat([0, 1], n))
            learner.predict(drawings[0, : n + 1])
            learner.predict(drawings[0, : n + 1], transductive=True)
    assert not caplog.records


def test_files_of_any_kind_and_size(drawings, tmp_path):
    learner, large = adapted(drawings), np.kron(drawings[2, 3, ..., 0], np.ones([4, 4], np.uint8))
    expected = learner.predict_proba(pil(large))
    turned = pil(np.rot90(large)).copy()
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    clear = np.dstack([np.zeros([112, 112, 3], np.uint8), large])  # black where it is drawn, nothing elsewhere
    files = {
        "a.png": (pil(large), {}),
        "b.bmp": (pil(large).convert("RGB"), {}),
        "c.gif": (pil(large), {}),
        "d.tiff": (Image.fromarray(large.astype(np.uint16) * 257), {}),
        "e.png": (turned, dict(exif=exif)),
        "f.webp": (pil(large).convert("RGB"), dict(lossless=True)),
        "g.png": (Image.fromarray(clear, "RGBA"), {}),
    }
    for name, (image, options) in files.items():
        image.save(tmp_path / name, **options)
        found = learner.predict_proba(str(tmp_path / name), invert=name == "g.png")
        np.testing.assert_allclose(found, expected, atol=2e-3, err_msg=name)
    together = learner.predict_proba([tmp_path / "a.png", pil(large), str(tmp_path / "e.png")])
    np.testing.assert_allclose(together, np.repeat(expected, 3, 0), atol=1e-5)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UsageError, match="text.png is not a readable image"):
        learner.predict(tmp_path / "text.png")


def test_pytorch_s_tensors(drawings):
    torch = pytest.importorskip("torch")
    learner = adapted(drawings)
    again = learner.adapt(drawings[:2, 0].repeat(2, 0), list(torch.tensor([7, 7, 5, 5])))
    assert again.classes.tolist() == [5, 7]
    learner = adapted(drawings)
    x = torch.tensor(np.moveaxis(drawings[:3, 3], -1, 1) / np.float32(255), requires_grad=True)
    np.testing.assert_allclose(learner.predict_proba(x), learner.predict_proba(drawings[:3, 3]), atol=1e-5)


def test_what_is_none_of_these(drawings):
    learner, query = adapted(drawings), drawings[:5, 1]
    likeliest, labels = learner.predict_proba(query).max(1), learner.predict(query)
    limit = float(np.sort(likeliest)[2])
    found = learner.predict(query, reject_below=limit)
    assert [label is None for label in found] == (likeliest < limit).tolist() and sum(likeliest < limit) == 2
    assert all(one in (None, other) for one, other in zip(found, labels, strict=True))
    with pytest.raises(UsageError, match="reject_below=60 is not a probability"):
        learner.predict(query, reject_below=60)


def test_bytes_are_scaled_image_by_image():
    """Of drawings, ink may be 0 or 1; a photograph may be black but for noise."""
    dark = np.random.RandomState(0).randint(0, 2, [1, 28, 28, 1]).astype(np.uint8)
    bright = 255 * dark
    drawn, photographed = DATASETS["omniglot"], dataclasses.replace(DATASETS["omniglot"], drawings=False)
    for spec, of_dark in (drawn, dark), (photographed, dark / 255):
        for x, wanted in (dark, of_dark), (bright, dark), (np.concatenate([dark, bright]), [of_dark[0], dark[0]]):
            found = user_images.numbers(x, spec, "x")
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
