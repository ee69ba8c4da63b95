"""Figures of attacks."""

from tests.helpers.pictures import curves_of, recorded_figures
from tf_metadrop import Config
from tf_metadrop.figures import layout, robustness, style


def model(method, steps=20, note="", norms=("l2", "linf"), **more):
    rows = [
        dict(norm=norm, epsilon=eps, accuracy_percent=90 - 10 * eps, ci95=0.5, steps=steps, **more)
        for norm in norms
        for eps in (0, 1)
    ]
    return robustness.Attacked(method, note, rows)


def drawn(tmp_path, monkeypatch, models, paper):
    figures = recorded_figures(monkeypatch)
    robustness.draw(tmp_path / "figure.png", models, Config(dataset="omniglot", way=20), paper)
    return figures["figure.png"]


def test_attacks_of_one_step_have_panels_of_their_own(tmp_path, monkeypatch):
    paper = {"l2": {"maml": [(0, 95), (1, 50)], "vib": [(0, 90), (1, 10)]}}
    models = [model("metadrop"), model("maml"), model("maml", 1), model("maml", note="2 iterations")]
    figure = drawn(tmp_path, monkeypatch, models, paper)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["L2 attack, 20 steps", "L∞ attack, 20 steps", "L2 attack, 1 step", "L∞ attack, 1 step"]
    labels = [set(curves_of(axes)) for axes in figure.axes]
    ours = {"MAML", "MAML, 2 iterations", "Meta-dropout"}
    assert labels == [ours | {"MAML, paper"}, ours, {"MAML", "MAML, paper"}, {"MAML"}]  # no curve of other methods
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["MAML, paper"].get_color() == style.pale(style.BLUE)
    solid, other = [bar.lines[0] for bar in figure.axes[0].containers if bar.get_label().startswith("MAML")]
    assert solid.get_color() == other.get_color() == style.BLUE
    assert solid.get_linestyle() == "-" and other.get_linestyle() != "-"
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["clean", "1"]
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown[-1] == "MAML, paper" and set(shown[:-1]) == ours


def test_variants_have_panels_of_their_own(tmp_path, monkeypatch):
    """Files of before there were variants hold attacks by PGD."""
    models = [
        model("maml"),
        model("metadrop", variant="pgd", restarts=3),
        model("maml", variant="pgd", restarts=0),
        model("maml", variant="gradient", restarts=1),
    ]
    figure = drawn(tmp_path, monkeypatch, models, {})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[::2] == ["L2 attack, 20 steps", "L2, 20 steps, from the image", "L2, 20 steps, gradient"]
    assert [len(curves_of(axes)) for axes in figure.axes] == [2, 2, 1, 1, 1, 1]


def test_attacks_under_different_norms_share_a_row(tmp_path, monkeypatch):
    models = [model("maml", norms=("linf",)), model("maml", 9, norms=("l2",)), model("maml", 1)]
    figure = drawn(tmp_path, monkeypatch, models, {})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["L2 attack, 9 steps", "L∞ attack, 20 steps", "L2 attack, 1 step", "L∞ attack, 1 step"]


def test_a_norm_without_an_attack_has_no_panel(tmp_path, monkeypatch):
    models = [model("maml", 30, norms=("linf",)), model("maml"), model("maml", 1, norms=("l2",))]
    figure = drawn(tmp_path, monkeypatch, models, {"linf": {"maml": [(0, 95), (1, 50)]}})
    assert [axes.get_visible() for axes in figure.axes] == [False, True, True, True, True, False]
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, False, False, True, True, False]
    assert figure.axes[1].yaxis.get_tick_params()["labelleft"]  # left of it is no panel
    assert figure.axes[3].xaxis.get_tick_params()["labelbottom"]  # below it is none


def test_a_panel_of_attacks_has_no_more_lines_than_it_may(tmp_path, monkeypatch):
    models = [model(method, norms=("l2",)) for method in list(style.METHODS)[:8]]
    figure = drawn(tmp_path, monkeypatch, models, {"l2": {"maml": [(0, 95)], "metadrop": [(0, 96)]}})
    counts = [len(curves_of(axes)) for axes in figure.axes]
    assert sum(counts) == 10 and max(counts) <= layout.MOST


def test_the_paper_s_names():
    assert robustness.paper_name("maml_adv_inner_l2_1") == "adv_e1"
    assert robustness.paper_name("maml_vib") == "vib" and robustness.paper_name("metadrop") == "metadrop"
