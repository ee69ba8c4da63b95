"""Shared by the tests of backbones."""

import pytest

from tf_metadrop import backbones


@pytest.fixture
def registered():
    """Registers backbones, and takes them back."""
    names = []

    def register(name, module):
        backbones.register(name, module)
        names.append(name)

    yield register
    for name in [*names, "net"]:
        backbones.unregister(name)
