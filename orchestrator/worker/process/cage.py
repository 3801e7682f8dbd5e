"""Starts a model process inside its cage: ``python -I -S -B cage.py SPEC``, SPEC being a JSON object.

Until the cage is closed this module imports the standard library only: numpy starts threads, and a thread that
started before escapes the cage. ``-S`` prevents code in ``.pth`` files and ``sitecustomize`` of the model's
environment from running outside the cage.

The cage has four layers; the host learns which of them hold:
    files     Landlock: the process reads the files of the SPEC and writes its own folders, nothing else
    network   the process cannot create any socket
    signals   the process cannot signal processes outside
    seccomp   no tracing, mounting, memory of other processes, kernel keyring, io_uring, new namespaces
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import importlib.util
import json
import os
import resource
import signal
import site
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

FULL = frozenset({"files", "network", "signals", "seccomp"})

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
MAKE_CHAR, MAKE_BLOCK, MAKE_SOCK = 1 << 6, 1 << 11, 1 << 9
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = EXECUTE | READ_FILE | READ_DIR

SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/opt/nvidia", "/etc/ld.so.cache", "/etc/localtime", "/etc/OpenCL"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/sys/kernel"),
    *("/proc/driver/nvidia", "/sys/devices/system", "/sys/devices/virtual/dmi", "/sys/kernel/mm"),
    *("/dev/urandom", "/dev/random", "/dev/zero"),
)

libc = ctypes.CDLL(None, use_errno=True)


class Landlock:
    """The kernel's unprivileged file sandbox (Documentation/userspace-api/landlock.rst)."""

    CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # the same numbers on every architecture

    def __init__(self) -> None:
        self.abi = max(0, libc.syscall(self.CREATE, None, 0, 1))
        files = (1 << 13) - 1  # ABI 1; later versions have more rights
        files |= (REFER if self.abi >= 2 else 0) | (TRUNCATE if self.abi >= 3 else 0)
        self.files = files | (IOCTL_DEV if self.abi >= 5 else 0)
        self.network = 0b11 if self.abi >= 4 else 0  # bind and connect of TCP
        self.scope = 0b11 if self.abi >= 6 else 0  # abstract sockets and signals cannot leave
        self._ruleset = -1

    def __enter__(self) -> Landlock:
        attributes = (ctypes.c_uint64 * 3)(self.files, self.network, self.scope)
        self._ruleset = self._call(self.CREATE, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
        return self

    def allow(self, path: str | Path, rights: int) -> None:
        """Allow these rights on a file, or on a folder with everything in it; a missing path is skipped."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        try:
            allowed = rights & self.files & (~0 if Path(path).is_dir() else FILE_RIGHTS)
            beneath = allowed.to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
            self._call(self.ADD_RULE, self._ruleset, 1, beneath, 0)
        finally:
            os.close(descriptor)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._call(self.RESTRICT, self._ruleset, 0)
        os.close(self._ruleset)

    @staticmethod
    def _call(number: int, *arguments: Any) -> int:
        answer = int(libc.syscall(number, *arguments))
        if answer < 0:
            raise OSError(ctypes.get_errno(), "Landlock refused a rule")
        return answer


def shut(spec: dict[str, Any]) -> frozenset[str]:
    """Close the cage around this process and return the layers that hold."""
    _limit(int(spec["memory_mb"]))
    if spec["sandbox"] == "off":
        return frozenset()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp = _seccomp(spec["seccomp"])
    landlock = Landlock()
    if landlock.abi:
        restrict_files(landlock, spec)
    if seccomp is None:
        return frozenset(({"files"} if landlock.abi else set()) | ({"signals"} if landlock.scope else set()))
    deny_calls(seccomp, landlock.abi)
    return FULL if landlock.abi else FULL - {"files"}


def restrict_files(landlock: Landlock, spec: dict[str, Any]) -> None:
    """Allow only the files that the interpreter and the model read, and the folders that the model writes."""
    with landlock:
        for path in (*SYSTEM, *interpreter_folders(), *spec["read"]):
            landlock.allow(path, READ)
        for folder in _path_files():
            landlock.allow(folder, READ_DIR)
            for package in _packages(folder):
                landlock.allow(package, READ)
        landlock.allow("/dev/null", READ_FILE | WRITE_FILE)
        for folder in spec["write"]:
            landlock.allow(folder, landlock.files & ~(MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK | IOCTL_DEV))
        for device in spec["devices"]:
            landlock.allow(device, READ | WRITE_FILE | IOCTL_DEV)


def interpreter_folders() -> Iterator[str]:
    """Yield the folders of this interpreter and its packages; ``-S`` hides the virtual environment.

    A whole prefix is never allowed, since it may be a home folder.
    """
    for prefix in {*_environment(), sys.base_prefix, sys.base_exec_prefix}:
        yield from (f"{prefix}/{part}" for part in ("bin", "lib", "lib64", "pyvenv.cfg"))


def _environment() -> list[str]:
    """Return the virtual environment of this interpreter, if it has one."""
    prefix = Path(sys.executable).parent.parent
    return [str(prefix)] if (prefix / "pyvenv.cfg").is_file() else []


def _path_files() -> Iterator[Path]:
    """Yield the folders that ``.pth`` files add to the import path (editable installs)."""
    for folder in map(Path, site.getsitepackages([*_environment(), sys.base_prefix])):
        for file in sorted(folder.glob("*.pth")):
            lines = file.read_text(errors="replace").splitlines()
            yield from (
                folder / line.strip() for line in lines if line.strip() and not line.startswith(("import", "#"))
            )


def _packages(folder: Path) -> Iterator[Path]:
    """Yield the modules directly in the folder, not the whole folder: a checkout contains data too."""
    yield from folder.glob("*.py")
    yield from (init.parent for init in folder.glob("*/__init__.py"))
    yield from folder.glob("*.dist-info")


IGNORED = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
    *("utime", "utimes", "utimensat", "futimesat"),
)
"""Calls that Landlock does not control. They do nothing but report success, since ``shutil.copy`` makes them."""

DENIED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp"),
    *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "setsid", "setpgid", "vhangup"),
    *("mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "mount_setattr", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "open_by_handle_at", "name_to_handle_at", "fanotify_init"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "setxattrat"),
    *("bpf", "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl", "lookup_dcookie"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "syslog", "ioperm", "iopl", "mknod", "mknodat"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname"),
    *("shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl", "mq_open"),
    *("move_pages", "migrate_pages", "ioprio_set", "setpriority", "sched_setparam", "sched_setscheduler"),
)

CLONE_NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


def deny_calls(seccomp: ModuleType, landlock_abi: int) -> None:
    """Load the seccomp filter; it also closes what older versions of Landlock leave open.

    A call that this kernel or libseccomp does not know is skipped.
    """
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in DENIED:
        _deny(rules, seccomp.ERRNO(errno.EPERM), name)
    for name in IGNORED:
        _deny(rules, seccomp.ERRNO(0), name)
    for name in ("clone3", "openat2"):  # the filter cannot read their flags in memory; libc falls back
        _deny(rules, seccomp.ERRNO(errno.ENOSYS), name)
    for flag in CLONE_NEW_NAMESPACES:
        _deny(rules, seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    _deny(rules, seccomp.ERRNO(errno.EPERM), "prlimit64", seccomp.Arg(0, seccomp.NE, 0))
    if landlock_abi < 3:
        _keep_readable_files_whole(rules, seccomp)
    if landlock_abi < 6:
        _keep_signals_inside(rules, seccomp)
    rules.load()


def _keep_readable_files_whole(rules: Any, seccomp: ModuleType) -> None:
    """Forbid truncating read-only files, which Landlock before ABI 3 allows."""
    denial = seccomp.ERRNO(errno.EACCES)
    _deny(rules, denial, "truncate")
    for name, position in (("open", 1), ("openat", 2)):
        mask = os.O_ACCMODE | os.O_TRUNC
        _deny(rules, denial, name, seccomp.Arg(position, seccomp.MASKED_EQ, mask, os.O_RDONLY | os.O_TRUNC))


def _keep_signals_inside(rules: Any, seccomp: ModuleType) -> None:
    """Let the process signal only itself, not even its own children."""
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        _deny(rules, seccomp.ERRNO(errno.EPERM), name, seccomp.Arg(0, seccomp.NE, os.getpid()))
    _deny(rules, seccomp.ERRNO(errno.EPERM), "tkill")


def _deny(rules: Any, action: int, name: str, *arguments: Any) -> None:
    try:
        rules.add_rule(action, name, *arguments)
    except (OSError, ValueError):
        return


def _seccomp(path: str | None) -> ModuleType | None:
    """Return pyseccomp, loaded from the host's copy into any interpreter; None without libseccomp.

    The library names are given here: pyseccomp would run ldconfig to find them, which takes 40 ms.
    """
    if path is None:
        return None
    ctypes.util.find_library = {"c": "libc.so.6", "seccomp": "libseccomp.so.2"}.get  # type: ignore[assignment]
    spec = importlib.util.spec_from_file_location("pyseccomp", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (OSError, RuntimeError):
        return None
    return module


def _limit(memory_mb: int) -> None:
    """Limit private writable memory. The address space stays unlimited, since CUDA and mapped files reserve much of it.

    oom_score_adj: if the machine still runs out of memory, the kernel kills the model and not the host.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = memory_mb << 20 if hard == resource.RLIM_INFINITY else min(hard, memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    Path("/proc/self/oom_score_adj").write_text("800")


def _die_with(host: int) -> None:
    """Let the kernel kill this process when the host's launcher thread ends, and each fork when its parent ends."""

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    arm()
    os.register_at_fork(after_in_child=arm)
    if os.getppid() != host:
        os._exit(0)


def _refuse(channel: int, layers: Iterable[str]) -> None:
    missing = ", ".join(sorted(FULL - set(layers)))
    os.write(channel, json.dumps({"refused": missing}).encode() + b"\n")
    os._exit(0)


def main() -> None:
    """Close the cage, then serve requests."""
    spec = json.loads(sys.argv[1])
    _die_with(spec["host"])
    os.set_inheritable(spec["channel"], False)
    layers = shut(spec)
    if spec["sandbox"] == "required" and layers != FULL:
        _refuse(spec["channel"], layers)
    site.main()
    sys.path[:0] = spec["sys_path"]
    sys.argv = ["model"]

    from orchestrator.worker.child import serve

    serve(spec["channel"], layers)


if __name__ == "__main__":
    main()
