"""Creates .venv with all packages that the project needs: python3 setup_env.py [--dev] [--tensorflow 2.21]

It installs the CPU build of TensorFlow, or the GPU build if there is an NVIDIA GPU. It does nothing if .venv is up to
date. The package itself is installed as editable, so that .venv/bin/metadrop runs the code of this folder.

`pip install .` alone would install the full build, `tensorflow`, because tensorflow-probability needs tf-keras, which
depends on it. This program installs tf-keras without its dependencies, so that the CPU build remains.
"""

import argparse
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).parent
OLDEST, NEWEST = (3, 11), (3, 13)
FOR_TESTS = ("requirements-dev.txt", "requirements-docs.txt")
DECIDING = ("requirements.txt", *FOR_TESTS)  # files that list the packages
READY, OURS = "ready", "made_by_setup_env"  # files in an environment: its state, and a mark that this program made it


def tensorflow_package() -> str:
    """The build of TensorFlow for this machine."""
    if shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0:
        return "tensorflow[and-cuda]"
    small = platform.system() == "Linux" and platform.machine() == "x86_64"
    return "tensorflow-cpu" if small else "tensorflow"


def install(venv_dir: pathlib.Path, version: str, dev: bool) -> None:
    """Installs into the virtual environment."""
    python = venv_dir / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    files = ["requirements.txt", *(FOR_TESTS if dev else ())]
    options = [option for file in files for option in ("-r", str(ROOT / file))]
    subprocess.run([*pip, f"{tensorflow_package()}=={version}.*", *options], check=True)
    # tensorflow-probability needs tf-keras of TensorFlow's version; it would pull in the full TensorFlow build.
    subprocess.run([*pip, "--no-deps", f"tf-keras=={version}.*"], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)


def main() -> int:
    """Runs the program with the arguments of the command line and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also install the packages of the tests and checks")
    parser.add_argument("--tensorflow", default="2.21", choices=["2.20", "2.21"], help="version of TensorFlow")
    parser.add_argument("--venv", default=str(ROOT / ".venv"), help="folder of the virtual environment")
    args = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        print(
            f"setup_env.py: Python {platform.python_version()} is not supported: use 3.11, 3.12 or 3.13.",
            file=sys.stderr,
        )
        return 2
    package = (ROOT / "pyproject.toml").read_text().split("[tool.ruff]")[0]  # the rest does not affect the installation
    wanted = hashlib.sha256("".join([*[(ROOT / file).read_text() for file in DECIDING], package]).encode())
    state = f"{platform.python_version()} {args.tensorflow} {args.dev} {tensorflow_package()} {wanted.hexdigest()}"
    folder = pathlib.Path(args.venv).expanduser()
    try:
        return set_up(folder, state, args.tensorflow, args.dev)
    except subprocess.CalledProcessError as error:
        failed = " ".join(map(str, error.cmd[1:4]))
        no_venv = "install Python's venv module (Debian: apt install python3-venv)"
        fix = no_venv if "ensurepip" in failed else "see the messages above, then try again"
        print(f"setup_env.py: `{failed}` failed with exit code {error.returncode}: {fix}.", file=sys.stderr)
    except OSError as error:
        print(f"setup_env.py: --venv={folder} cannot be created ({error}): give another folder.", file=sys.stderr)
    return 2


def set_up(folder: pathlib.Path, state: str, version: str, dev: bool) -> int:
    """Creates the environment unless it has this state already; returns the exit code."""
    ready, ours = folder / READY, folder / OURS
    if ready.exists() and ready.read_text(errors="replace") in (state, state.replace(" False ", " True ")):
        return 0
    if folder.is_dir() and any(folder.iterdir()) and not is_ours(folder):
        print(
            f"setup_env.py: --venv={folder} was not made by this program, which would empty it: move it away or give "
            "another folder.",
            file=sys.stderr,
        )
        return 2
    print(f"setting up {folder} (a few minutes the first time) ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    ours.touch()  # if this process is killed, the next one may empty the folder
    for path in {*folder.iterdir()} - {ours}:  # nothing of another Python or TensorFlow must remain
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    venv.create(folder, with_pip=True)
    install(folder, version, dev)
    ready.write_text(state)
    return 0


def is_ours(folder: pathlib.Path) -> bool:
    """Whether this program made this folder. Earlier versions marked it only by the file `ready`."""
    ready = folder / READY
    earlier = r"\S+ \S+ (True|False) tensorflow\S* [0-9a-f]{64}"
    return (folder / OURS).exists() or (
        (folder / "pyvenv.cfg").exists()
        and ready.is_file()
        and bool(re.fullmatch(earlier, ready.read_text(errors="replace")))
    )


if __name__ == "__main__":
    sys.exit(main())
