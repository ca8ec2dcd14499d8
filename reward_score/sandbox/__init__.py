"""Runs untrusted Python against tests.

    outcome = run_program(code, stdin, Limits(seconds=10))      # outcome.stdout is compared by the caller
    outcome = run_tests(code, "assert f(1) == 2")               # outcome.verdict == "pass"

Assumed: an answer wants its reward without solving the task, or harms by accident (loops, memory, output, processes).
It may read this source.

What cannot happen, on any Linux machine:

- An exit code, printed text, `sys.exit`, `os._exit`, an overwritten `print` or builtin, a patched `json` or
  `unittest`, an object that equals everything: none is a verdict. Expected outputs stay in the reward worker. Test
  code runs in a process of its own, which asks the answer's process by plain data only (`inside.wire`), and whose
  verdict carries a nonce. The answer's process was forked from one that never held a row's tests, so no frame, no
  `gc`, no descriptor and no memory of its own shows them.
- It sees no variable of the worker's environment, its working folder is emptied, and its output, files, memory,
  processor time, wall-clock time, open files and processes are limited (`Limits`). Memory is limited per process, so
  all of a run may take `memory_mb` times `processes`.
- Privileges do not grow (no_new_privs); sockets other than local ones, ptrace, io_uring, new namespaces, memfd and
  System V memory are refused by a system call filter (x86-64, AArch64).
- It ends with its deadline or with its reward worker, whichever is first.

Where namespaces are permitted (root with CAP_SYS_ADMIN, or unprivileged user namespaces; found out by trying): no
network at all; a root with system libraries and Python only, read-only, and 64 MiB of /tmp, in which no home, data
set or /proc exists; all processes of a run die with its first, whatever session they made.
As root without CAP_SYS_ADMIN (a plain container): a uid of its own per sandbox, so that files of others are closed as
far as their modes say, process limits do not add up over sandboxes, and strays are killed by uid.

What it does not stop: a flaw in the kernel (it is shared); timing and load on shared cores. Without namespaces:
reading what everybody may read, files left in folders that everybody may write (/tmp, /dev/shm), connecting to local
(Unix) sockets, and, if the zygote itself is killed from outside, processes that had left their session. With neither
namespaces nor root, the answer has the worker's own user: it can read and write that user's files and, where the
kernel lets users trace, memory; the process limit counts that user's processes too. Then run the trainer in a
container, or use SandboxFusion (`RemoteSandbox`). Helpers that tests take from the answer itself (HumanEval/32 calls
the prompt's `poly`) are the answer's to define.

bubblewrap is not used: for the same namespaces it starts a new interpreter per run, which costs several times a fork.
`capabilities()` says what holds on this machine.
"""

from reward_score.sandbox.client import SandboxBroken
from reward_score.sandbox.local import LocalSandbox, capabilities, close, run_program, run_tests, warm
from reward_score.sandbox.outcome import Capabilities, Limits, Outcome
from reward_score.sandbox.remote import RemoteSandbox

__all__ = [
    "Capabilities", "Limits", "LocalSandbox", "Outcome", "RemoteSandbox", "SandboxBroken", "capabilities", "close",
    "run_program", "run_tests", "warm"
]
