"""Batch normalisation of query images by the statistics of the support images (MetaBN); docs/methods.md.

The support images take those of their own pass, under its noise; the query images those of a further pass of the
support images, without noise, under the adapted weights.
"""

from tf_metadrop.nn.normalization import batch

FROM_SUPPORT = True
statistics, norm, norm_relu = batch.statistics, batch.norm, batch.norm_relu
norm_relu_pool, norm_relu_pool_by = batch.norm_relu_pool, batch.norm_relu_pool_by
