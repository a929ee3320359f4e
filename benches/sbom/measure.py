"""Runs a program to its end and prints as JSON what that took: measure.py PROGRAM ARGUMENTS… It never limits or changes what it runs.

The largest memory of one process is the kernel's own figure, which starts at what this program itself had (some 10 MB)."""

import json
import os
import sys
import time

started = time.monotonic()
# What it prints is of interest only where it fails.
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
wall = time.monotonic() - started
with open(f"/proc/{child}/io") as io:
    transferred = dict(line.split(": ") for line in io)
_, status, usage = os.wait4(child, 0)
print(
    json.dumps(
        {
            "code": os.waitstatus_to_exitcode(status),
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "rss": usage.ru_maxrss * 1024,
            "read": int(transferred["rchar"]),
            "written": int(transferred["wchar"]),
        }
    )
)
