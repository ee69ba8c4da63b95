"""The parts of a method, one file for each value of a flag: noise types, inner steps, regularisers and others.

`method.py` combines one part of each kind, and `network.py` is the forward pass with them.
"""
