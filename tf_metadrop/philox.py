"""TensorFlow's random bits in operations that XLA fuses into one kernel, for one key or for many at once.

The same generator as tf.random.stateless_uniform's (Philox 4x32-10: Salmon et al., 2011), bit for bit. That takes one
key, so that on a GPU a draw for each task, inner step, sample and layer would be hundreds of kernels; and on a CPU it
takes twice the time. Outside XLA this is slow.
"""

import tensorflow as tf

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
SCRAMBLE = 0x3EC8F720, 0x02461E29  # TensorFlow's own, to make a key and a counter of a seed


def bits(keys, count: int):
    """For each key what tf.random.stateless_uniform([count], key, None, None, tf.uint32) gives.

    Args:
      keys: int32, [..., 2], not negative.
    Returns:
      uint32, [..., count].
    """
    found = words(keys, -(-count // 4))
    by_block = tf.linalg.matrix_transpose(found)
    return tf.reshape(by_block, [*keys.shape[:-1], 4 * found.shape[-1]])[..., :count]


def words(keys, blocks: int):
    """The same bits, uint32 [..., 4, blocks]: the first words of all blocks of four, then the second, and so on."""
    first, second = (tf.cast(keys[..., i], tf.uint32)[..., tf.newaxis] for i in (0, 1))
    zero = tf.zeros_like(first)
    return scrambled_words(philox((first, zero, second, zero), SCRAMBLE), blocks)


def scrambled_words(scrambled, blocks: int):
    """`words` from what TensorFlow makes of the keys first: a key of two, and the upper half of the counter."""
    key_0, key_1, counter_2, counter_3 = scrambled
    number = tf.cast(tf.range(blocks), tf.uint32) + tf.zeros_like(key_0)
    return tf.stack(philox((number, tf.zeros_like(number), counter_2, counter_3), (key_0, key_1)), -2)


def philox(counter, key):
    """Four uint32 tensors from four, and a key of two."""
    a, b, c, d = counter
    key_0, key_1 = (tf.cast(part, tf.uint32) for part in key)
    for _ in range(ROUNDS):
        (high_0, low_0), (high_1, low_1) = product(MULTIPLIERS[0], a), product(MULTIPLIERS[1], c)
        a, b, c, d = xor(high_1, b, key_0), low_1, xor(high_0, d, key_1), low_0
        key_0, key_1 = key_0 + tf.constant(KEY_STEPS[0], tf.uint32), key_1 + tf.constant(KEY_STEPS[1], tf.uint32)
    return a, b, c, d


def product(multiplier: int, x):
    """High and low 32 bits of a product of 32-bit numbers."""
    wide = tf.constant(multiplier, tf.uint64) * tf.cast(x, tf.uint64)
    return tf.cast(tf.bitwise.right_shift(wide, tf.constant(32, tf.uint64)), tf.uint32), tf.cast(wide, tf.uint32)


def xor(a, b, c):
    """Of three tensors."""
    return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(a, b), c)
