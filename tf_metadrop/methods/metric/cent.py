"""Mean softmax cross-entropy in nats."""

from tf_metadrop.nn.layers import cross_entropy as value  # noqa: F401
