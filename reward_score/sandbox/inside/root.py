"""A file system of its own: system libraries and Python read-only, an empty /tmp of limited size, nothing else.

No home, no data set, no repository, no /proc: what is not mounted cannot be read. As in bubblewrap, two pivots: the
first puts a tmpfs over everything, the second enters what was built on it.
"""

import os

from . import kernel

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/localtime",
          "/nix/store")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def enter(paths: list[str], scratch_mb: int) -> None:
    """Builds the root from `SYSTEM` and `paths` and moves this process into it. Needs its own mount namespace.

    Raises:
        OSError: the kernel refuses; the process is then to be given up, as it stands between two roots.
    """
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=4m")
    os.mkdir("/tmp/old")
    os.mkdir("/tmp/new")
    kernel.mount("/tmp/new", "/tmp/new", "", kernel.MS_BIND)
    kernel.pivot_root("/tmp", "/tmp/old")
    os.chdir("/")
    for path in ("/tmp", "/dev/shm"):  # first, since Python itself may lie below /tmp
        os.makedirs("/new" + path, exist_ok=True)
        kernel.mount("tmpfs", "/new" + path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV,
                     f"mode=1777,size={scratch_mb}m,nr_inodes=4096")
    for path in _outermost([*SYSTEM, *paths]):
        _show(path)
    for path in DEVICES:
        _bind(path)
    kernel.umount("/old")
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.umount(".")
    os.chdir("/")
    kernel.mount("", "/", "",
                 kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)


def _outermost(paths: list[str]) -> list[str]:
    """Without those that lie in another one."""
    paths = sorted({os.path.normpath(path) for path in paths})
    return [path for path in paths if not any(path.startswith(other + "/") for other in paths)]


def _show(path: str) -> None:
    """Puts `path` into the new root: a link as the link it is, the rest read-only."""
    if os.path.islink("/old" + path):
        os.makedirs("/new" + os.path.dirname(path), exist_ok=True)
        target = os.readlink("/old" + path)
        os.symlink(target, "/new" + path)
        target = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if not target.startswith(SYSTEM):
            _show(target)
    elif os.path.exists("/old" + path) and not os.path.exists("/new" + path):
        _bind(path)
        kernel.make_read_only("/new" + path)


def _bind(path: str) -> None:
    target = "/new" + path
    os.makedirs(target if os.path.isdir("/old" + path) else os.path.dirname(target), exist_ok=True)
    if not os.path.isdir(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount("/old" + path, target, "", kernel.MS_BIND | kernel.MS_REC)
