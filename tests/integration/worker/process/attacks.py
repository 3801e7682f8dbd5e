"""What a hostile model might try; each returns when it got through and raises when it was stopped."""

ATTACKS = """
import ctypes, errno, pathlib, resource, shutil, signal, socket, subprocess, tempfile

libc = ctypes.CDLL(None, use_errno=True)

def raw(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def shell(command):
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(done.stderr)

def tcp(facts):
    socket.create_connection(("127.0.0.1", int(facts["port"])), 2).close()

def udp(facts):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(facts["port"])))

def unix_socket(facts):
    socket.socket(socket.AF_UNIX).connect(facts["unix"])

def abstract_socket(facts):
    socket.socket(socket.AF_UNIX).connect("\\0" + facts["abstract"])

def socket_pair(facts):
    socket.socketpair()

def read_secret(facts):
    pathlib.Path(facts["secret"]).read_text()

def read_beside_the_interpreter(facts):
    (pathlib.Path(sys.prefix) / facts["beside"]).read_text()

def list_home(facts):
    os.listdir(os.path.dirname(facts["secret"]))

def parent_environment(facts):
    pathlib.Path(f"/proc/{os.getppid()}/environ").read_bytes()

def signal_parent(facts):
    os.kill(os.getppid(), 0)

def trace(facts):
    child = os.fork()
    if child == 0:
        time.sleep(60)
    try:
        if libc.ptrace(0x4206, child, 0, 0) < 0:  # PTRACE_SEIZE; of the parent, it would stop the test itself
            raise OSError(ctypes.get_errno(), "refused")
    finally:
        os.kill(child, signal.SIGKILL)
        os.wait()

def parent_memory(facts):
    place = (ctypes.c_size_t * 2)(0, 1)  # nothing lies at address 0: the kernel says so to those who may read
    if libc.process_vm_readv(os.getppid(), place, 1, place, 1, 0) < 0 and ctypes.get_errno() != errno.EFAULT:
        raise OSError(ctypes.get_errno(), "refused")

def limit_parent(facts):
    resource.prlimit(os.getppid(), resource.RLIMIT_CORE)

def write_input(facts):
    for name in os.listdir("/proc/self/fd"):
        link = pathlib.Path(f"/proc/self/fd/{name}")
        if link.is_symlink() and link.readlink().name == "volume.json":
            os.close(os.open(link, os.O_RDWR))

def truncate_secret(facts):
    os.truncate(facts["secret"], 6)

def write_elsewhere(facts):
    pathlib.Path(facts["elsewhere"]).write_text("x")

def write_shared_memory(facts):
    with tempfile.NamedTemporaryFile(dir="/dev/shm"):
        pass

def change_own_code(facts):
    with open(__file__, "a"):
        pass

def shell_reads_secret(facts):
    shell(f"cat {facts['secret']}")

def shell_writes_elsewhere(facts):
    shell(f"echo x > {facts['elsewhere']}")

def leave_the_process_group(facts):
    if os.fork() == 0:
        try:
            os.setsid()
            os._exit(0)
        finally:
            os._exit(1)
    if os.wait()[1]:
        raise PermissionError

def new_user_namespace(facts):
    raw(272, 0x10000000)

def io_uring(facts):
    raw(425, 8, ctypes.create_string_buffer(120))

def kernel_keyring(facts):
    raw(250, 0, -3, 1)
"""
