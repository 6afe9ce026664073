"""Runs a command on a terminal of its own and types a line at each prompt.

usage: terminal.py LINE,LINE COMMAND [ARGUMENT ...]

What the command writes to the terminal goes to standard error, its standard output stays apart.
"""

import os
import pty
import sys
import termios
import time

lines = sys.argv[1].split(",")
output = os.dup(1)
child, terminal = pty.fork()
if child == 0:
    os.dup2(output, 1)
    os.execv(sys.argv[2], sys.argv[2:])

shown = b""
while True:
    try:
        chunk = os.read(terminal, 1024)
    except OSError:  # the terminal is closed
        break
    if not chunk:
        break
    os.write(2, chunk)
    shown += chunk
    if lines and shown.rstrip(b" ").endswith(b":"):
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)  # nobody types so early that the terminal still shows it
        os.write(terminal, lines.pop(0).encode() + b"\n")
        shown = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
