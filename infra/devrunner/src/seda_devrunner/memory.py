"""How much memory a program and its own processes take, shared pages counted once."""

from pathlib import Path

PROC = Path("/proc")


def memory_bytes(pid: int) -> int | None:
    """None where the system does not tell (no /proc)."""
    if not (PROC / str(pid)).exists():
        return None
    return sum(_proportional_bytes(member) for member in _family(pid))


def _family(pid: int) -> list[int]:
    """The process, its group and its direct children (PostgreSQL's leave the group)."""
    found = []
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent, group = int(words[1]), int(words[2])
        if pid in (int(folder.name), parent, group):
            found.append(int(folder.name))
    return found


def _proportional_bytes(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
