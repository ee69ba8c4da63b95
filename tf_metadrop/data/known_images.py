"""Fingerprints of the training images that get_data.py makes, and the commands that make these images again."""

from __future__ import annotations

from tf_metadrop.data import spec

PREPARATIONS = "grey", "original"
DIGESTS = {  # of the whole training split, and of the rest after validation classes are held out
    "random": (("ae076c4ada3c6c74", "fa58070b64a38dc8"), ("5fec14c77b538899", "65d7049fcdb5be39")),
    "vinyals": (("9ef864bcb4d612bd", "a377a03f56302d3b"), ("c0d05548d3269271", "7d622fc7f046af12")),
}
FLAGS: dict[str, str] = {
    digest: f"--dataset omniglot --split {split}" + (f" --preparation {preparation}" if preparation != "grey" else "")
    for split, of_split in DIGESTS.items()
    for preparation, digests in zip(PREPARATIONS, of_split, strict=True)
    for digest in digests
}


def command(digest: str | None) -> str | None:
    """The command that builds the images of this fingerprint; None if it is not known."""
    return f"{spec.program()} {FLAGS[digest]}" if digest in FLAGS else None
