"""The paper: `inner_loop.py` and `outer_loop.py` are its Algorithm 1; `steps.py` compiles them.

The other files say how the steps run, and over which devices.
"""
