"""Names and looks of methods."""

import itertools
import pathlib
import re

import pytest

from tf_metadrop import Config
from tf_metadrop.figures import style
from tf_metadrop.methods import adversary, inner, noise, regularizer

FIGURES = pathlib.Path(style.__file__).parent


def registered():
    """`Config.method` of every noise type, inner step, regulariser and adversarial training, alone."""
    settings = [dict(noise_type=name) for name in noise.names()]
    settings += [dict(maml=True, inner=name) for name in inner.names()] + [dict(inner="metasgd")]
    settings += [dict(maml=True, regularizer=name) for name in regularizer.names()]
    settings += [dict(maml=True, adv_train=name) for name in adversary.names()]
    return list(dict.fromkeys(Config(dataset="omniglot", **each).method for each in settings))


def test_every_registered_method_has_a_name_a_colour_and_a_marker_of_its_own():
    bases = [style.base(method) for method in registered()]
    assert set(bases) == set(style.METHODS)  # neither a method without a row nor a row without a method
    for column in zip(*style.METHODS.values(), strict=True):
        assert len(set(column)) == len(style.METHODS)
    for one, other in itertools.combinations(style.METHODS, 2):
        assert style.look(one) != style.look(other)
    assert not any("_" in look.name for look in style.METHODS.values())


@pytest.mark.parametrize(
    ("settings", "name", "base"),
    [
        (dict(maml=True), "MAML", "maml"),
        (dict(), "Meta-dropout", "metadrop"),
        (dict(inner="metasgd"), "Meta-SGD + Meta-dropout", "metasgd_metadrop"),
        (dict(maml=True, inner="metasgd"), "Meta-SGD", "metasgd"),
        (dict(noise_type="fixed_gaussian", noise_variant="report"), "Fixed Gaussian (report)", "fixed_gaussian"),
        (dict(maml=True, normalization="tasknorm"), "MAML (TaskNorm)", "maml"),
        (dict(backbone="resnet12", widths="8,8,8,8"), "Meta-dropout (ResNet-12, widths 8-8-8-8)", "metadrop"),
        (dict(maml=True, regularizer="vib"), "MAML + VIB", "maml_vib"),
        (dict(noise_type="additive", regularizer="vib"), "Additive + VIB", "additive_vib"),
        (
            dict(maml=True, adv_train="inner", adv_norm="linf", adv_eps=0.1),
            "MAML, adversarial support (L∞ 0.1)", "maml_adv_inner",
        ),
    ],
)  # fmt: skip
def test_a_method_is_written_as_people_write_it(settings, name, base):
    method = Config(dataset="omniglot", **settings).method
    assert (style.name(method), style.base(method)) == (name, base)


def test_variants_have_the_colour_of_their_method_and_unknown_methods_one_of_their_own():
    for variant in ("fixed_gaussian_report", "fixed_gaussian_tasknorm", "fixed_gaussian_resnet12"):
        assert style.look(variant) == style.look("fixed_gaussian")
    assert style.name("my_noise") == "My noise" and style.look("my_noise") == style.look("my_noise")
    assert style.colour("my_noise") in style.SPARE
    assert not set(style.SPARE) & {look.colour for look in style.METHODS.values()}
    shades = [style.shade("maml", number) for number in range(6)]
    assert shades[0] == style.BLUE and len(set(shades)) == 6


def test_methods_come_in_the_order_of_the_table():
    given = ["my_noise", "additive", "metadrop_tasknorm", "metadrop", "maml"]
    assert style.in_order(given) == ["maml", "metadrop", "metadrop_tasknorm", "additive", "my_noise"]


def test_each_meta_gradient_has_a_line_of_its_own():
    lines = [style.dashes(gradient) for gradient in (*style.GRADIENTS, "TF1 program")]
    assert lines[0] == "-" and all(one != other for one, other in itertools.combinations(lines, 2))


def test_no_other_module_names_a_colour():
    named = re.compile(r"#[0-9A-Fa-f]{6}\b|color=\"|colou?rs?=\[\"|\bcolor=\"?0\.|\"(?:black|white|red|blue|gr[ae]y)\"")
    for path in (*FIGURES.glob("*.py"), FIGURES.parent / "analysis" / "table_figures.py"):
        found = named.findall(path.read_text().replace('cmap="gray"', ""))
        assert path.name == "style.py" or not found, (path.name, found)
