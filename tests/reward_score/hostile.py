"""A reward function that does what `solution_str` says; used as custom_reward_function by the pool's tests."""
import asyncio
import ctypes
import os
import subprocess
import sys
import threading
import time


def compute_score(data_source, solution_str, ground_truth, extra_info, factor=1.0):
    command, _, argument = solution_str.partition(" ")
    return COMMANDS[command](argument, factor)


async def compute_score_async(data_source, solution_str, ground_truth, extra_info, factor=1.0):
    await asyncio.sleep(0.01)
    return {"score": factor, "loop": id(asyncio.get_running_loop())}


def loop(argument, factor):
    while True:
        pass


def loop_in_c(argument, factor):
    return 3**10**argument.__len__().__add__(9)  # holds the interpreter lock and takes no signal


def hog(argument, factor):
    blocks = []
    while True:
        blocks.append(bytearray(10**7))


def segfault(argument, factor):
    return ctypes.string_at(0)


def start_child(argument, factor):
    """Starts a process that outlives its parent, writes its pid to the file named first, then does the second thing."""
    file, then = argument.split(" ", 1)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(file, "w") as out:
        out.write(str(child.pid))
    return compute_score("", then, "", None, factor)


def die_later(argument, factor):
    """The worker dies when it has nothing to do."""
    threading.Timer(float(argument), os._exit, (9,)).start()
    return factor


def fail(argument, factor):
    raise KeyError("no such thing\nreally")


COMMANDS = {
    "right": lambda argument, factor: factor,
    "pid": lambda argument, factor: {
        "score": 0,
        "pid": os.getpid()
    },
    "environ": lambda argument, factor: {
        "score": 0,
        "value": os.environ.get(argument, "")
    },
    "sleep": lambda argument, factor: time.sleep(float(argument)) or factor,
    "loop": loop,
    "loop_in_c": loop_in_c,
    "hog": hog,
    "segfault": segfault,
    "exit": lambda argument, factor: os._exit(int(argument)),
    "sys.exit": lambda argument, factor: sys.exit(0),
    "start_child": start_child,
    "die_later": die_later,
    "fail": fail,
    "none": lambda argument, factor: None,
    "unpicklable": lambda argument, factor: {
        "score": 1,
        "thing": threading.Lock()
    },
}
