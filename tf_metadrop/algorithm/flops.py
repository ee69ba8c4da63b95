"""Counts the floating-point operations of a step in its graph: those of convolutions and matrix products only."""

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

OTHERS = {  # the branch that is taken is not known; the other products are not in this program's own methods
    *("If", "StatelessIf", "Case", "StatelessCase"),
    *("BatchMatMul", "BatchMatMulV3", "Einsum", "XlaEinsum", "SparseTensorDenseMatMul"),
    *(f"{kind}{part}" for kind in ("Conv3D", "DepthwiseConv2dNative")
      for part in ("", "BackpropInput", "BackpropFilter", "BackpropInputV2", "BackpropFilterV2")),
}  # fmt: skip


class Uncounted(ValueError):
    """Raised if the operations of a graph cannot be counted; the message says why."""


def train_step_flop(config: Config) -> int:
    """The number of floating-point operations of a meta-training step; a multiply-add counts as 2.

    The counted step has sequential tasks. --tasks=at_once is counted in the same way, but computes a little more.

    Raises:
      Uncounted: see `flop`; a user's own method may cause it.
    """
    return flop(train_step_graph(config))


def train_step_graph(config: Config) -> tf.Graph:
    """The traced graph of the meta-training step with sequential tasks."""
    config = one_after_the_other(config)
    method, state, *episodes, key = arguments(config)
    return make_train_step(config, method).get_concrete_function(state, *episodes, key).graph


def test_step_flop(config: Config) -> int:
    """The number of floating-point operations of a meta-test step; see `train_step_flop`."""
    config = one_after_the_other(config)
    method, state, *episodes, key = arguments(config)
    step = make_test_step(config, method)
    return flop(step.get_concrete_function(state.params, *episodes, key, tf.constant(0)).graph)


def one_after_the_other(config: Config) -> Config:
    """The config with sequential tasks and noise samples, on one device."""
    return dataclasses.replace(config, tasks="in_sequence", devices=1)


def arguments(config: Config) -> tuple:
    """Arguments of the types and shapes that the steps get: method, state, images, support, query and key."""
    method, spec, key = load_method(config), config.spec, rng.key(0, 0)
    params = cast(network.initial(method, config.way, key), config.dtype)
    indices = [tf.TensorSpec([config.metabatch, config.way * n], tf.int32) for n in (config.shot, config.query)]
    return method, initial_state(params, method), tf.TensorSpec([1, *spec.image_shape], tf.uint8), *indices, key


def flop(graph: tf.Graph) -> int:
    """The number of floating-point operations that the outputs of a traced function need.

    The body of a loop counts n times if the loop's condition is that a counter from 0 is below the constant n. With any
    other condition it counts once.

    Raises:
      Uncounted: the size of a convolution or product is not known before it is computed, the graph has one of OTHERS,
        or this version of TensorFlow does not give access to the body of a loop.
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
        elif op.type in OTHERS:
            raise Uncounted(f"{op.name} is {op.type}, whose operations are not counted")
        else:
            total += sum(map(flop, called(op)))
    return total


def shape(tensor: tf.Tensor) -> list[int]:
    """The static shape of a tensor; raises Uncounted if it is not known."""
    if not tensor.shape.is_fully_defined():
        raise Uncounted(f"the shape of {tensor.name} is not known before it is computed")
    return tensor.shape.as_list()


def needed(graph: tf.Graph) -> set[tf.Operation]:
    """The operations that the graph's outputs depend on; no others are ever computed."""
    found: set[tf.Operation] = set()
    left = [tensor.op for tensor in graph.outputs]
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return found


def turns(condition: tf.Graph) -> int:
    """The smallest constant integer that a loop's condition compares with, by `Less`; 1 if there is none."""
    limits = [op.inputs[1] for op in needed(condition) if op.type == "Less"]
    bounds = [tf.get_static_value(limit) for limit in limits if limit.dtype.is_integer and limit.shape.rank == 0]
    return min((int(bound) for bound in bounds if bound is not None), default=1)


def function(op: tf.Operation, name: str) -> tf.Graph:
    """The graph of the function that the attribute `name` of a call or loop refers to."""
    return graph_of(op, op.get_attr(name).name)


def called(op: tf.Operation) -> list[tf.Graph]:
    """The graphs of all functions that an operation refers to: those of a call, a loop, a branch ..."""
    values = op.node_def.attr.values()
    names = [each.name for value in values for each in (value.func, *value.list.func) if each.name]
    return [graph_of(op, name) for name in names]


def graph_of(op: tf.Operation, name: str) -> tf.Graph:
    """The graph of the function of this name, to which an operation refers."""
    if not hasattr(op.graph, "_get_function"):  # private to TensorFlow; the public interface loses the shapes
        raise Uncounted(f"TensorFlow {tf.__version__} does not give access to the graph of {op.name}")
    return op.graph._get_function(name).graph
