"""Become another program that dies with its parent, and is never root when it must not be.

Run as a file, before the program it stands for: `python -I -S child.py [options] -- program ...`.
A Python function between fork and exec would be shorter, but it runs in a copy of a process that
may hold threads and locks; this file runs alone. It imports nothing of the package on purpose.

A killed parent is noticed through PR_SET_PDEATHSIG, which belongs to the *thread* that forked:
start children from a thread that lives as long as they should.
"""

import ctypes
import functools
import os
import platform
import pwd
import signal
import subprocess
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
TELLS_OF_DEATH = platform.system() == "Linux"
"""Whether a child learns that its parent was killed. macOS has no such call."""
UNPRIVILEGED_USERS = ("postgres", "nobody")


def wrap(
    command: list[str], *, death_signal: signal.Signals, unprivileged: bool = False
) -> list[str]:
    """The argument list that runs `command` as such a child of the calling process."""
    options = [f"--parent={os.getpid()}", f"--signal={int(death_signal)}"]
    if unprivileged:
        options.append("--unprivileged")
    return [sys.executable, "-I", "-S", __file__, *options, "--", *command]


def main(arguments: list[str]) -> None:
    if arguments == ["--probe"]:
        user = unprivileged_user()
        raise SystemExit(0 if _enter_user_namespace(user.pw_uid, user.pw_gid) else 1)
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    if "--unprivileged" in options and os.geteuid() == 0:
        leave_root()
    given = dict(option.split("=", 1) for option in options if "=" in option)
    # After the change of user: the kernel forgets the request when credentials change.
    die_with_parent(int(given["--parent"]), int(given["--signal"]))
    os.execv(command[0], command)


def leave_root() -> None:
    """Stop being uid 0, by a user namespace where the kernel allows it.

    Inside the namespace the process is `nobody`, outside it still owns root's files: no user is
    made, no file changes hands, and it works below a home only root may enter. Without namespaces
    (some containers) it becomes an existing user, who must be able to reach the files.
    """
    user = unprivileged_user()
    if _enter_user_namespace(user.pw_uid, user.pw_gid):
        return
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def unprivileged_user() -> pwd.struct_passwd:
    """Who to be instead of root. It must be in passwd: PostgreSQL looks its own name up."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in known:
            return known[name]
    raise SystemExit("root may not run this, and there is no user `postgres` or `nobody`")


@functools.cache
def can_enter_user_namespace() -> bool:
    """Whether the kernel lets this process make one, tried in a child that ends at once."""
    probe = [sys.executable, "-I", "-S", __file__, "--probe"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def _enter_user_namespace(uid: int, gid: int) -> bool:
    if platform.system() != "Linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    # os.unshare exists from Python 3.12 on.
    if libc.unshare(CLONE_NEWUSER) != 0:
        return False
    for name, text in (
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """Ask the kernel for a signal when the parent ends, where it can be asked."""
    if not TELLS_OF_DEATH:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent_pid:
        raise SystemExit("the parent ended before its child began")


if __name__ == "__main__":
    main(sys.argv[1:])
