"""What a Config refuses."""

import pytest

from tf_metadrop import Config, UsageError


def test_config_refuses_from_python_too():
    for wrong in (dict(way="5"), dict(way=True), dict(way=None), dict(inner_lr="fast"), dict(maml=1), dict(savedir=3)):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Config(**wrong)
    assert Config(inner_lr=1).inner_lr == 1
