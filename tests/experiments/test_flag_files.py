"""The flag files that come with the program."""

from absl import flags

from tf_metadrop.config import absl_flags
from tf_metadrop.experiments import flag_files


def test_flag_files_are_of_this_program():
    """Every one parses, and none trains into another's savedir; those of `metadrop reproduce` get theirs from it."""
    root, savedirs = flag_files.folder(), set()
    files = sorted(root.rglob("*.flags"))
    assert len(files) >= 65
    for path in files:
        values = flags.FlagValues()
        absl_flags.define_flags(values)
        values(["main.py", f"--flagfile={path}"])
        settings = absl_flags.from_flags(values)
        text = path.read_text()
        assert text.startswith("# ") and "# Cost: " in text and "# Published" in text, path
        if settings.savedir:
            assert settings.savedir == f"checkpoints/{path.relative_to(root).with_suffix('')}"
            assert str(path.relative_to(root.parent)) in text
            savedirs.add(settings.savedir)
    assert len(savedirs) == len([path for path in files if path.parent not in (root, root / "results")])
