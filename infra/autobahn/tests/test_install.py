"""A machine without what the suite needs is told so in one line."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def test_without_python_2_the_target_says_in_one_line_how_to_get_it(tmp_path: Path) -> None:
    installer = tmp_path / "infra/autobahn/install.sh"
    installer.parent.mkdir(parents=True)
    for name in ("install.sh", "python2.lock", "virtualenv.lock"):
        shutil.copy(FOLDER / name, installer.parent)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "cat", "cksum"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [str(shutil.which("sh")), installer],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tools), "HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pyenv install 2.7.18" in done.stderr
    assert "PYTHON2=" in done.stderr
    assert not (tmp_path / ".tools").exists()
