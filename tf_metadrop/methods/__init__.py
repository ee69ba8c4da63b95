"""One file for each value of a flag: noise types, inner steps, regularisers and the like; `method.py` puts a choice of
each together, and `network.py` is the forward pass with them.
"""
