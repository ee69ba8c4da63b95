"""Random bits by Philox 2x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3").

A counter and a key give two words of bits, so that XLA can compile the draws for many tasks, inner steps, samples and
layers into one kernel. All words are in uint64 tensors, because a processor can multiply these without shuffling its
vectors.
"""

import tensorflow as tf

ROUNDS = 10
MULTIPLIER = 0xD256D193
KEY_STEP = 0x9E3779B9
WORD = 0xFFFFFFFF


def philox(low: tf.Tensor, high: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Two words of random bits from a counter of two words and a key of one, all in uint64 tensors."""
    mask, half, multiplier, key_step = (tf.constant(n, tf.uint64) for n in (WORD, 32, MULTIPLIER, KEY_STEP))
    for _ in range(ROUNDS):
        product = low * multiplier
        upper = tf.bitwise.right_shift(product, half)
        low = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(upper, high), key)
        high = tf.bitwise.bitwise_and(product, mask)
        key = tf.bitwise.bitwise_and(key + key_step, mask)
    return low, high
