"""Tensors in, tensors out: layers, randomness, and, one a file, backbones and normalisations.

Nothing here knows a flag.
"""
