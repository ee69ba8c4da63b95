"""What one run can be asked to do, one mode a file: train, test (`evaluate`), export, attack, compare, replay.

`learner.py` is for a user's own images.
"""
