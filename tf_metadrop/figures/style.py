"""What a method looks like in every figure: its name, its colour and its marker. No other module names a colour.

A method is given as `Config.method` has it ("maml", "fixed_gaussian_report", "maml_adv_inner_linf_0.1"). Its colour is
that of its `base`. What is added to the base is a variant: it changes the line, not the colour.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from tf_metadrop.methods import inner, noise, regularizer
from tf_metadrop.nn import backbones, normalization

# Wong's palette and parts of Tol's. Readers who are colour-blind can distinguish them; the markers help.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
WINE, OLIVE, BROWN, INDIGO, TEAL, KHAKI, MAGENTA, FOREST = (
    "#882255", "#999933", "#7F5539", "#332288", "#44AA99", "#8A6D00", "#AA4499", "#117733",
)  # fmt: skip
INK, GREY, PALE, LIGHT, FAINT, PAPER = "0.15", "0.45", "0.7", "0.88", "0.96", "white"  # from text to background


class Look(NamedTuple):
    """How a method is written and drawn."""

    name: str
    colour: str
    marker: str


METHODS = {  # by `base`, in the order of figures and legends
    "maml": Look("MAML", BLUE, "o"),
    "metadrop": Look("Meta-dropout", VERMILLION, "s"),
    "metasgd": Look("Meta-SGD", GREEN, "^"),
    "metasgd_metadrop": Look("Meta-SGD + Meta-dropout", PURPLE, "D"),
    "fixed_gaussian": Look("Fixed Gaussian", ORANGE, "v"),
    "independent_gaussian": Look("Independent Gaussian", WINE, "P"),
    "weight_gaussian": Look("Weight Gaussian", OLIVE, "X"),
    "additive": Look("Additive", BROWN, "<"),
    "deterministic": Look("Deterministic", BLACK, ">"),
    "maml_manifold_mixup": Look("MAML + Manifold Mixup", KHAKI, "d"),
    "maml_vib": Look("MAML + VIB", MAGENTA, "*"),
    "maml_info_dropout": Look("MAML + Information Dropout", FOREST, "8"),
    "maml_adv_inner": Look("MAML, adversarial support", INDIGO, "h"),
    "maml_adv_query": Look("MAML, adversarial query", TEAL, "p"),
}
SPARE = "#6A51A3", "#B2182B", "#5E8C31", "#A6761D", "#1B7F8C", "#E7298A", "#4D4D4D", "#8C6BB1"  # for every other base
MARKERS = "osD^vP*X"
COMPARED = "maml", "metadrop"
CLASSES = BLUE, VERMILLION  # of a task with two
DASHES: tuple[Any, ...] = "-", (0, (4, 1.5)), (0, (1, 1.3)), (0, (5, 1.3, 1, 1.3)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1))
GRADIENTS = {"exact": "exact", "tf1": "tf1 (2020 release)", "first": "first order"}  # in the order of DASHES

ATTACKED = {"inner": "support", "query": "query"}
NORMS = {"l1": "L1", "l2": "L2", "linf": "L∞"}
NORMALIZATIONS = {"tasknorm": "TaskNorm", "support": "MetaBN", "instance": "instance norm", "layer": "layer norm"}
BACKBONES = {"resnet12": "ResNet-12"}
DATASETS = {"omniglot": "Omniglot", "mimgnet": "miniImageNet", "strokes": "Strokes"}
ADVERSARIAL = re.compile(r"(.+)_adv_(.+)_([^_]+)_([^_]+)")
OPTION = re.compile(rf"(.+)_({'|'.join(backbones.DEFAULTS)})([\d-]+)")


class Parts(NamedTuple):
    """What a method's name is made of; "" or () for what it has as usual."""

    inner: str
    noise: str
    report: bool
    regularizer: str
    network: tuple[str, ...]  # backbone and its options
    normalization: str
    adversary: tuple[str, ...]  # what is attacked, norm, radius


def parts(method: str) -> Parts:
    """The parts of a `Config.method`, also of one with a noise type that is not registered here."""
    found = ADVERSARIAL.fullmatch(method)
    rest, adversary = (found[1], found.groups()[1:]) if found else (method, ())
    rest, norm = split_end(rest, normalization.names())
    network: list[str] = []
    while option := OPTION.fullmatch(rest):
        rest = option[1]
        network.insert(0, f"{option[2]} {option[3]}")
    rest, backbone = split_end(rest, backbones.names())
    rest, regular = split_end(rest, regularizer.names())
    step = next((step for step in inner.names() if rest == step or rest.startswith(f"{step}_")), "")
    of_noise = rest.removeprefix(step).removeprefix("_") or "maml"
    report = of_noise.endswith("_report") and of_noise not in noise.names()
    of_noise = of_noise.removesuffix("_report") if report else of_noise
    return Parts(step, of_noise, report, regular, (*filter(None, [backbone]), *network), norm, tuple(adversary))


def split_end(text: str, names: Iterable[str]) -> tuple[str, str]:
    """(the text without its end, the end): the end is one of the names, after a _; it is "" if there is none."""
    found = next((name for name in sorted(names, key=len, reverse=True) if text.endswith(f"_{name}")), "")
    return text.removesuffix(f"_{found}"), found


def base(method: str) -> str:
    """The method without network, normalisation, norm, radius and variant of the noise. It decides the colour."""
    found = parts(method)
    of_noise = "" if found.inner and found.noise == "maml" else found.noise
    adversary = f"adv_{found.adversary[0]}" if found.adversary else ""
    return "_".join(filter(None, [found.inner, of_noise, found.regularizer, adversary]))


def name(method: str) -> str:
    """As people write it: "Meta-SGD + Meta-dropout", "Fixed Gaussian (report)", "MAML (TaskNorm)"."""
    found, of = parts(method), base(method)
    variants = ["report"] if found.report else []
    variants += [BACKBONES.get(each, each) for each in found.network]
    variants += [NORMALIZATIONS.get(found.normalization, found.normalization)] if found.normalization else []
    if found.adversary:
        _, norm, radius = found.adversary
        variants.append(f"{NORMS.get(norm, norm)} {radius}")
    text = METHODS[of].name if of in METHODS else composed(found)
    return f"{text} ({', '.join(variants)})" if variants else text


def composed(found: Parts) -> str:
    """The name of a base that METHODS does not have: the names of its parts, with + between them."""
    noisy = found.noise != "maml" or not found.inner
    every = [found.inner, found.noise if noisy else "", found.regularizer]
    text = " + ".join(part_name(each) for each in every if each)
    return text + (f", adversarial {ATTACKED.get(found.adversary[0], found.adversary[0])}" if found.adversary else "")


def part_name(part: str) -> str:
    """The name of an inner step, a noise type or a regulariser."""
    if part in METHODS:
        return METHODS[part].name
    on_maml = METHODS.get(f"maml_{part}")
    return on_maml.name.removeprefix("MAML + ") if on_maml else part.replace("_", " ").capitalize()


def task(dataset: str, way: int, shot: int) -> str:
    """As "Omniglot 20-way 1-shot"."""
    return f"{DATASETS.get(dataset, dataset)} {way}-way {shot}-shot"


def look(method: str) -> dict[str, Any]:
    """Colour and marker of a method. Those of an unknown method follow from its name."""
    of = base(method)
    if of in METHODS:
        return dict(color=METHODS[of].colour, marker=METHODS[of].marker)
    number = zlib.crc32(of.encode())
    return dict(color=SPARE[number % len(SPARE)], marker=MARKERS[number // len(SPARE) % len(MARKERS)])


def colour(method: str) -> str:
    """The colour of a method."""
    return look(method)["color"]


def shade(method: str, number: int) -> str:
    """The colour of the method's run of this number. Run 0 has the method's own; others have darker or lighter ones."""
    towards, share = ((0, 0.0), (0, 0.5), (1, 0.5), (0, 0.75), (1, 0.7), (0, 0.25))[number % 6]
    return mixed(colour(method), towards, share)


def pale(colour: str) -> str:
    """A lighter colour, for what is shown beside our own results."""
    return mixed(colour, 1, 0.45)


def mixed(colour: str, towards: float, share: float) -> str:
    """The colour with this share of black (towards 0) or white (towards 1)."""
    from matplotlib.colors import to_hex, to_rgb

    return to_hex([(1 - share) * channel + share * towards for channel in to_rgb(colour)]).upper()


def dashes(gradient: str) -> Any:
    """The line of a meta-gradient, as matplotlib has it."""
    known = list(GRADIENTS)
    return DASHES[known.index(gradient) if gradient in known else len(known)]


def in_order(methods: Iterable[str]) -> list[str]:
    """These methods in the order of METHODS, each with its variants after it, and unknown ones last."""
    known = list(METHODS)
    place = lambda method: known.index(base(method)) if base(method) in METHODS else len(known)
    return sorted(methods, key=lambda method: (place(method), method != base(method), method))
