"""Keras models to be taken as backbones."""

import keras

SIZE = 16


def copy_of_conv4(filters=3, size=SIZE, way=2):
    found = [keras.Input((size, size, 1))]
    for _ in range(4):
        found += [keras.layers.Conv2D(filters, 3, padding="same"), keras.layers.BatchNormalization()]
        found += [keras.layers.ReLU(), keras.layers.MaxPooling2D()]
    return keras.Sequential([*found, keras.layers.Flatten(), keras.layers.Dense(way, activation="softmax")])


def branched(size=SIZE, way=2):
    """With all that can be taken."""
    of = keras.layers
    x = keras.Input((size, size, 1))
    h = of.Conv2D(3, 5, strides=2, padding="same", use_bias=False)(x)
    h = of.LeakyReLU(negative_slope=0.2)(of.BatchNormalization()(h))
    a = of.Conv2D(4, 3, padding="same", activation="gelu")(h)
    b = of.Activation("tanh")(of.Conv2D(4, (1, 2), padding="same")(h))
    h = of.AveragePooling2D(3, strides=2, padding="same")(of.Add()([a, b]))
    h = of.MaxPooling2D(3, strides=1, padding="same")(h)
    h = of.BatchNormalization(scale=False)(of.Conv2D(3, 2, activation="silu")(h))
    h = of.Dense(4, use_bias=False)(of.Flatten()(h))
    h = of.Dense(4, activation="softplus")(of.BatchNormalization()(h))
    return keras.Model(x, of.Softmax()(of.Dense(way)(h)))
