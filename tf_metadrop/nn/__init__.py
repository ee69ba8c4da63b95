"""Computations on tensors: layers, random numbers, backbones and normalisations (one file each).

Nothing here knows the flags.
"""
