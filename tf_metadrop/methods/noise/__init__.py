"""Noise types, one file each: a file added to this folder is a value of --noise_type, by its name.

A noise type is a module (or any object, see `register`) with

  features(params, layer, h, normal) -> x       what block `layer` (1..4) hands to its batch normalisation
  logits(params, f, normal) -> logits           the dense layer
  trained(name) -> bool                         whether the outer loop updates the parameter of this name

where h is [batch, height, width, channels], x is [batch, height, width, filters], f is [batch, features] and logits is
[batch, way]. `normal(shape)` draws standard normal noise for this layer; it is None when the pass does not sample, and
then the noise is at its mean. See metadrop.py.

A type whose mu and alpha do not depend on the noise may also have

  maps(params, layer, h) -> (mu, alpha)         each [batch, height, width, filters]; mu alone depends on theta
  perturb(layer, mu, alpha, normal) -> x        `features` from them

Where many samples of the noise are taken (a meta-test), the first block's are then computed once for all of them.

`report` in such a module is the same for --noise_variant=report: what the program of the Reproducibility Challenge
report computes under this name (TF1_BEHAVIOUR, "The report's noise types").

Where the tasks run at once (on a GPU), h, x, f and logits have more axes before these, the first of them the tasks, and
the parameters under theta/ begin with it too: `layers.convs`, `layers.dense` and elementwise arithmetic take both.
"""

from tf_metadrop.util.registry import Registry

VARIANTS = "ours", "report"
# Those of the report's program. maml and metadrop are the same in both.
REPORTED = "maml", "metadrop", "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive"

_registry = Registry(__name__, __path__)
names, register, unregister = _registry.names, _registry.register, _registry.unregister


def load(name: str, variant: str = "ours"):
    """The noise type of this name (one of `names()`), in one of VARIANTS."""
    noise_type = _registry.load(name)
    return getattr(noise_type, "report", noise_type) if variant == "report" else noise_type
