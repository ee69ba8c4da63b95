"""setup_env.py: what it makes anew and what it leaves alone."""

import pytest

import setup_env


@pytest.mark.parametrize("name", ["thesis.txt", "pyvenv.cfg", "ready"])  # the second: of the user's own environment
def test_an_environment_replaces_nothing_else(name, tmp_path, monkeypatch, capsys):
    (tmp_path / name).write_text("years of work")
    monkeypatch.setattr("sys.argv", ["setup_env.py", f"--venv={tmp_path}"])
    assert setup_env.main() == 2
    assert "was not made by this program, which would empty it: move it away" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    monkeypatch.setattr("sys.argv", ["setup_env.py", f"--venv={tmp_path / name}"])
    assert setup_env.main() == 2
    assert "cannot be created" in capsys.readouterr().err and (tmp_path / name).read_text() == "years of work"


def test_an_environment_is_made_anew_where_the_last_was_not_finished(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("sys.argv", ["setup_env.py", f"--venv={tmp_path / 'env'}"])
    monkeypatch.setattr(setup_env.venv, "create", lambda folder, with_pip: made.append(sorted(folder.iterdir())))
    monkeypatch.setattr(
        setup_env, "install", lambda folder, *_: (folder / "lib").mkdir() or (folder / "x").touch() or 1 / 0
    )
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            setup_env.main()
    assert made == 2 * [[tmp_path / "env" / "made_by_setup_env"]]
    monkeypatch.setattr(setup_env, "install", lambda *_: None)
    assert setup_env.main() == setup_env.main() == 0 and len(made) == 3
    (tmp_path / "env" / "made_by_setup_env").unlink()  # as it was before there was this mark
    (tmp_path / "env" / "pyvenv.cfg").touch()
    ready = tmp_path / "env" / "ready"
    ready.write_text(ready.read_text().replace("2.21", "2.20"))
    assert setup_env.main() == 0 and len(made) == 4
