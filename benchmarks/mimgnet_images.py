"""Writes generated images in the size of miniImageNet, to try its settings with: textures, not miniImageNet.

  python -m benchmarks.mimgnet_images FOLDER      writes FOLDER/mimgnet/{train,val,test}.npy, 1.3 GB

It writes 64, 16 and 20 classes of 600 images, 84 x 84 x 3. A class consists of a few plane waves, each with its colour;
the phases, the strengths and the noise differ between images. The images are always the same. To use them:
main.py --dataset=mimgnet --data_dir=FOLDER ...
"""

import argparse
import sys

import numpy as np

from tf_metadrop.cli import program
from tf_metadrop.data import arrays, outputs
from tf_metadrop.data.spec import SPLITS, get_spec
from tf_metadrop.util import paths

SEED = 84
WAVES = 4


def texture(split: str, label: int, n_images: int) -> np.ndarray:
    """All images of a class: uint8 [n_images, 84, 84, 3]."""
    spec = get_spec("mimgnet")
    rng = np.random.default_rng([SEED, SPLITS.index(split), label])
    across, down = rng.uniform(-0.5, 0.5, (2, WAVES, 1, 1))
    y, x = np.mgrid[: spec.height, : spec.width].astype(np.float32)
    turned = (across * x + down * y).astype(np.float32)  # [waves, height, width], radians
    colours = rng.uniform(-1, 1, (WAVES, spec.channels)).astype(np.float32)
    phases = rng.uniform(0, 6.3, (n_images, WAVES, 1, 1)).astype(np.float32)
    strengths = rng.uniform(0.5, 1, (n_images, WAVES, 1, 1)).astype(np.float32)
    images = 128 + 50 * np.einsum("nwyx,wc->nyxc", strengths * np.cos(turned + phases), colours, optimize=True)
    images += 25 * rng.standard_normal(images.shape, np.float32)
    return np.clip(images, 0, 255).astype(np.uint8)


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mimgnet_images", description=__doc__, formatter_class=form
    )
    parser.add_argument("folder", type=paths.path, help="folder of the data sets: --data_dir of main.py")
    parser.add_argument(
        "--instances", type=int, default=get_spec("mimgnet").instances, help="number of images per class"
    )
    args = parser.parse_args(arguments)

    def act():
        from tqdm import tqdm

        spec = get_spec("mimgnet")
        with outputs.staged(args.folder / spec.name) as stage:
            for split in SPLITS:
                count = spec.classes[split]
                blocks = (texture(split, label, args.instances) for label in range(count))
                shape = (count, args.instances, *spec.image_shape)
                arrays.write_npy(stage / f"{split}.npy", shape, tqdm(blocks, total=count, desc=split, unit="class"))

    return program.guard("benchmarks.mimgnet_images", act)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
