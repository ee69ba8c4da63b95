"""Batch normalisation of query images by the statistics of the support images (MetaBN).

See docs/reference/methods/normalization.md for the equation.
Support images are normalised by the statistics of their own pass, with its noise. Query images are normalised by those
of another pass of the support images, without noise, under the adapted weights.
"""

from tf_metadrop.nn.normalization import batch

FROM_SUPPORT = True
statistics, norm, norm_relu, norm_relu_pool = batch.statistics, batch.norm, batch.norm_relu, batch.norm_relu_pool
