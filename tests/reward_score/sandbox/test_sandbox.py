# ruff: noqa: E501 -- a program of the tests stands on one line
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from reward_score import sandbox
from reward_score.sandbox import Limits, client, local, run_program, run_tests, runs
from tests.support.processes import still_running

ROOT = Path(__file__).parents[3]
SHORT = Limits(seconds=0.5)
SYSTEM_PYTHON = "/usr/bin/python3"
ISOLATED = sandbox.capabilities().processes == "namespace"


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "no namespaces"])
def shared_zygote(request):
    """With what this machine permits, and as in a plain container."""
    zygote = client.Zygote(request.param)
    yield zygote
    zygote.close()
    assert not zygote._last_words


@pytest.fixture
def zygote(shared_zygote):
    """After the test, it works on."""
    yield shared_zygote
    assert runs.program(shared_zygote, "print(1)", b"", Limits()).stdout == b"1\n"


def below(pid):
    return psutil.Process(pid).children(recursive=True)


HOSTILE = {
    "fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "timeout"),
    "loop": ("while True: pass", "timeout"),
    "sleep": ("import time; time.sleep(60)", "timeout"),
    "thread that never ends": ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()", "timeout"),
    "10 GB": ("x = bytearray(10**10)", "memory"),
    "10 GB shared": ("import mmap; mmap.mmap(-1, 10**10)", "runtime error"),
    "1 GB of output": ("for _ in range(1000): print('x' * 10**6)", "output limit"),
    "1 GB of errors": ("import sys\nfor _ in range(1000): sys.stderr.write('x' * 10**6)", "output limit"),
    "1 GB file": ("f = open('big', 'wb')\nfor _ in range(1000): f.write(b'x' * 10**6)", "runtime error"),
    "many files": ("x = [open('a', 'w') for _ in range(1000)]", "runtime error"),
    "network": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "runtime error"),
    "name lookup": ("import socket\nprint(socket.getaddrinfo('example.org', 80))", "runtime error"),
    "user namespace": ("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0", "runtime error"),
    "write outside": ("open('/usr/x', 'w')", "runtime error"),
    "shadow": ("open('/etc/shadow').read()", "runtime error"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "runtime error"),
    "root again": ("import os; os.setuid(0)", "runtime error"),
    "limits up": ("import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)", "runtime error"),
    "memory of the parent": ("import os; open(f'/proc/{os.getppid() or 1}/mem', 'rb')", "runtime error"),
    "ptrace": ("import ctypes, os\nassert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0", "runtime error"),
}  # yapf: disable


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_program(zygote, name):
    code, verdict = HOSTILE[name]
    start = time.monotonic()
    outcome = runs.program(zygote, code, b"", SHORT)
    assert outcome.verdict == verdict, outcome
    assert time.monotonic() - start < SHORT.seconds + 1
    assert len(outcome.stdout) <= SHORT.output_mb * 2**20


STRAY = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        time.sleep(600)
print("started")
"""


def test_what_a_program_started_ends_with_it(zygote):
    family = {p.pid for p in below(os.getpid())}
    assert runs.program(zygote, STRAY, b"", SHORT).stdout == b"started\n"
    assert {p.pid for p in below(os.getpid())} <= family


def test_kill_everything(zygote):
    runs.program(zygote, "import os, signal\nos.kill(-1, 9)\nos.killpg(0, 15)", b"", SHORT)
    runs.program(zygote, f"import os\nos.kill({os.getpid()}, 9)", b"", SHORT)


def test_folder_is_private_and_emptied(zygote):
    write = "import os\nopen('mine', 'w').write('x'); os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a', 0)\nprint(os.getcwd())"
    look = "import os\nprint(os.listdir())"
    before = runs.program(zygote, look, b"", SHORT).stdout
    folder = runs.program(zygote, write, b"", SHORT).stdout.decode().strip()
    assert runs.program(zygote, look, b"", SHORT).stdout == before
    assert not os.path.exists(f"{folder}/mine")


def test_folder_that_the_program_deletes(zygote):
    runs.program(zygote, "import os, shutil\nshutil.rmtree(os.getcwd(), ignore_errors=True)", b"", SHORT)


@pytest.mark.skipif(not ISOLATED, reason="no namespaces here")
def test_only_python_is_to_be_seen(zygote):
    if zygote.capabilities.files:
        code = f"import os\nprint([p for p in ('/proc', '/home', '/var', {str(ROOT)!r} + '/reward_score') if os.path.exists(p)])"
        assert runs.program(zygote, code, b"", SHORT).stdout == b"[]\n"
        late = "import xml.dom.minidom, email, asyncio, sqlite3\nprint('imported')"
        assert runs.program(zygote, late, b"", SHORT).stdout == b"imported\n"


def test_a_programs_start_and_end():
    code = (
        "import sys, atexit, threading, os\natexit.register(print, 'bye')\n"
        "threading.Thread(target=lambda: print('thread')).start()\nprint(__name__, sys.argv[0], os.fstat(0).st_size)\n"
        "print(sys.stdin.read().strip())\nsys.exit(0)")
    assert run_program(code, b"in\n").stdout.split() == [b"thread", b"__main__", b"main.py", b"3", b"in", b"bye"]
    assert run_program("import sys\nsys.exit('no')").verdict == "runtime error"
    assert run_program("print(3)\nexit()").stdout == run_program("print(3)\nquit()").stdout == b"3\n"
    assert run_program("exit()").verdict == "ok"
    assert run_program("import os\nprint(os.environ['HOME'], sorted(os.environ))").verdict == "ok"


def test_deep_recursion_in_a_big_stack():
    code = (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**28)\n"
        "def f(n): return n and 1 + f(n - 1)\nt = threading.Thread(target=lambda: print(f(10**5)))\nt.start(); t.join()"
    )
    assert run_program(code).stdout == b"100000\n"


def test_hash_seed_is_fixed():
    outputs = {run_program("print({str(i) for i in range(50)})").stdout for _ in range(2)}
    local.close()
    outputs.add(run_program("print({str(i) for i in range(50)})").stdout)
    assert len(outputs) == 1


def test_eight_threads_and_no_traces():
    local.close()
    family, descriptors = len(below(os.getpid())), len(os.listdir("/proc/self/fd"))
    folders = set(os.listdir("/tmp"))
    codes = [(code, verdict) for name, (code, verdict) in HOSTILE.items() if verdict != "timeout"]
    wrong = []

    def work(index):
        for i in range(15):
            code, verdict = codes[(index + i) % len(codes)]
            outcome = run_program(code, b"", Limits(seconds=5))
            if outcome.verdict != verdict or run_program("print(input())", b"%d" % i).stdout != b"%d\n" % i:
                wrong.append((code, outcome))
        if run_program("while True: pass", b"", Limits(seconds=0.2)).verdict != "timeout":
            wrong.append("loop")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert run_program("print(1)").stdout == b"1\n"  # zygotes outlive the threads that started them
    local.close()
    assert len(below(os.getpid())) == family
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert not {name for name in set(os.listdir("/tmp")) - folders if name.startswith("sandbox-")}


def test_a_killed_zygote_is_replaced():
    local.close()
    assert run_program("print(1)").verdict == "ok"
    for process in reversed(below(os.getpid())):
        if "launch.main" in " ".join(process.cmdline()):
            process.kill()
    assert run_program("print(1)").verdict == "ok"


def worker(code, *options, namespaces=True):
    """A process that uses the sandbox; leads its own group as reward workers do."""
    head = ("import sys, time\nfrom reward_score.sandbox import local, run_program, run_tests, Limits\n"
            f"local._choice['namespaces'] = {namespaces}\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([*options, "-c", head + code], env=environment, stdout=subprocess.PIPE,
                            start_new_session=True, text=True)  # yapf: disable


@pytest.mark.parametrize("namespaces", [True, False] if ISOLATED else [False])
@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_nothing_outlives_a_killed_worker(kill, namespaces):
    busy = (
        "print('ready', flush=True)\nrun_program('''import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n"
        "while True: pass''', b'', Limits(seconds=600))")
    process = worker("run_program('')\n" + busy, sys.executable, namespaces=namespaces)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    family = below(process.pid)
    assert len(family) >= 3
    kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not still_running([member.pid for member in family], 3.0)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv") or not os.path.exists(SYSTEM_PYTHON) or
                    sys.version_info[:2] != (3, 11), reason="needs root, to stop being it")  # yapf: disable
@pytest.mark.parametrize("namespaces", [True, False])
def test_without_privileges(namespaces):
    code = ("def show(*o): print(*[x.verdict for x in o], sep=', ')\nL = Limits(seconds=0.5)\nb = b''\n"
            "show(run_program('print(1)'), run_tests('def f(x): return x', 'assert f(1) == 1'), "
            "run_tests('def f(x): return x', 'assert f(1) == 2'), run_program('import socket; socket.socket()'), "
            f"run_program({HOSTILE['fork bomb'][0]!r}, b, L), run_program({STRAY!r}), "
            "run_program('import os; os.kill(os.getppid() or -1, 9)'))\n")
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", SYSTEM_PYTHON]
    process = worker(code, *command, namespaces=namespaces)
    out, _ = process.communicate(timeout=30)
    assert out == "ok, pass, wrong answer, runtime error, timeout, ok, runtime error\n"
    assert not [p for p in psutil.process_iter(["uids"]) if p.info["uids"].real == 65534]


def test_capabilities_are_told():
    facts = sandbox.capabilities()
    assert facts.network in ("namespace", "system call filter", "")
    open_network = sandbox.Capabilities("", "", "", None, False)
    with pytest.warns(UserWarning, match="network"):
        local._warn(open_network)


def test_tests_need_no_answer_of_their_own_process():
    outcome = run_tests("def f(x): return x", "import os\nassert f(1) == 1\nassert os.getppid() >= 0")
    assert outcome.verdict == "pass"
    assert run_tests("def f(x): return x", "assert f(lambda: 1)").verdict == "wrong answer"
