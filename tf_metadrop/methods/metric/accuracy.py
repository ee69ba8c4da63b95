"""Accuracy: the fraction of images that are classified correctly, in [0, 1]."""

from tf_metadrop.nn.layers import accuracy as value  # noqa: F401
