"""The paper's algorithm: `inner_loop.py` and `outer_loop.py` are Algorithm 1, and `steps.py` compiles them.

The other files decide how the steps run and on which devices.
"""
