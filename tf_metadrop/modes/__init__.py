"""The modes of a run, one file each: train, test (`evaluate`), export, attack, compare and replay.

`learner.py` adapts a trained model to a user's own images.
"""
