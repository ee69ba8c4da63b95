"""Colours and markers of methods."""

from tf_metadrop.figures import style


def test_no_two_methods_look_the_same():
    methods = [f"method {number}" for number in range(20)]
    looks = style.looks_of(methods)
    assert [*looks] == methods and len({(look["color"], look["marker"]) for look in looks.values()}) == 20
    assert style.colours_of(methods[:7]) == dict(zip(methods, style.COLOURS, strict=False))
    assert all(len(set(style.colours_of(methods[:n]).values())) == n for n in (1, 8, 20))
    labels = ["additive", "metadrop (1 step)", "maml", "metadrop (20 steps)", "maml_vib"]
    assert style.compared_first(labels) == [labels[i] for i in (2, 1, 3, 0, 4)]
    labels = ["maml", "maml (inner_lr 0.05)", "metadrop (inner_lr 0.1)", "metadrop"]
    assert style.compared_first(labels) == [labels[i] for i in (0, 3, 1, 2)]
