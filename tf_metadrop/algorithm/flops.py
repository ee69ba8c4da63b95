"""How much arithmetic a step is, counted in its graph: convolutions and matrix products, elementwise work left out."""

import dataclasses
import math

import tensorflow as tf

from tf_metadrop.algorithm.outer_loop import initial_state
from tf_metadrop.algorithm.steps import make_test_step, make_train_step
from tf_metadrop.config.config import Config
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import cast


class Uncounted(ValueError):
    """A graph whose arithmetic cannot be counted; the message says why."""


def train_step_flop(config: Config) -> int:
    """Floating-point operations of a meta-training step, 2 for a multiply-add.

    Of the tasks one after the other, which is also what --tasks=at_once is counted as: it does a little more.

    Raises:
      Uncounted: see `flop`; a method of one's own may cause it.
    """
    return flop(train_step_graph(config))


def train_step_graph(config: Config) -> tf.Graph:
    """The meta-training step, its tasks one after the other, traced."""
    config = one_after_the_other(config)
    method, state, *episodes, key = arguments(config)
    return make_train_step(config, method).get_concrete_function(state, *episodes, key).graph


def test_step_flop(config: Config) -> int:
    """The same for a meta-test step."""
    config = one_after_the_other(config)
    method, state, *episodes, key = arguments(config)
    step = make_test_step(config, method)
    return flop(step.get_concrete_function(state.params, *episodes, key, tf.constant(0)).graph)


def one_after_the_other(config: Config) -> Config:
    """This config with neither its tasks nor its noise samples batched."""
    return dataclasses.replace(config, tasks="in_sequence", devices=1)


def arguments(config: Config) -> tuple:
    """Method, state, images, support, query and key, of the types and shapes that the steps get."""
    method, spec, key = load_method(config), config.spec, rng.key(0, 0)
    params = cast(network.initial(method, config.way, key), config.dtype)
    indices = [tf.TensorSpec([config.metabatch, config.way * n], tf.int32) for n in (config.shot, config.query)]
    return method, initial_state(params, method), tf.TensorSpec([1, *spec.image_shape], tf.uint8), *indices, key


def flop(graph: tf.Graph) -> int:
    """Floating-point operations of what a traced function returns.

    What a loop holds counts as often as its condition lets a counter from 0 stay below a constant; once where the
    condition is another one.

    Raises:
      Uncounted: the size of a convolution or product is not known before it is computed, or this TensorFlow does not
        tell what a loop holds.
    """
    total = 0
    for op in needed(graph):
        if op.type in ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"):
            kernel = op.outputs[0] if op.type == "Conv2DBackpropFilter" else op.inputs[1]
            of_map = op.outputs[0] if op.type == "Conv2D" else op.inputs[2]
            total += 2 * math.prod(shape(of_map)) * math.prod(shape(kernel)[:-1])
        elif op.type in ("MatMul", "BatchMatMulV2"):
            rows_first = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
            total += 2 * math.prod(shape(op.outputs[0])) * shape(op.inputs[0])[-2 if rows_first else -1]
        elif op.type in ("While", "StatelessWhile"):
            total += turns(function(op, "cond")) * flop(function(op, "body"))
        elif op.type in ("PartitionedCall", "StatefulPartitionedCall"):
            total += flop(function(op, "f"))
    return total


def shape(tensor: tf.Tensor) -> list[int]:
    """The shape of a tensor that is not computed yet."""
    if not tensor.shape.is_fully_defined():
        raise Uncounted(f"the shape of {tensor.name} is not known before it is computed")
    return tensor.shape.as_list()


def needed(graph: tf.Graph) -> set[tf.Operation]:
    """The operations that the graph's outputs depend on: what others compute is never computed."""
    found: set[tf.Operation] = set()
    left = [tensor.op for tensor in graph.outputs]
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return found


def turns(condition: tf.Graph) -> int:
    """The least constant integer that a number is compared with in a loop's condition; 1 without one."""
    limits = [op.inputs[1] for op in needed(condition) if op.type == "Less"]
    bounds = [tf.get_static_value(limit) for limit in limits if limit.dtype.is_integer and limit.shape.rank == 0]
    return min((int(bound) for bound in bounds if bound is not None), default=1)


def function(op: tf.Operation, name: str) -> tf.Graph:
    """The graph of the function that this attribute of a call or loop names."""
    if not hasattr(op.graph, "_get_function"):  # private to TensorFlow; what is public keeps no shapes
        raise Uncounted(f"TensorFlow {tf.__version__} does not tell what {op.name} holds")
    return op.graph._get_function(op.get_attr(name).name).graph
