"""Starts one command and tells, on a file descriptor, what it took: `python launch.py DESCRIPTOR COMMAND…`.

A process inherits the high-water mark of memory of the one that started it. So whoever starts a measured command must
be small, and imports nothing that is not needed.
"""

import os
import sys
import time


def main() -> None:
    report, *command = sys.argv[1:]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, int(report))])
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    code = os.waitstatus_to_exitcode(status)
    figures = (code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss)
    os.write(int(report), " ".join(map(str, figures)).encode())


if __name__ == "__main__":
    main()
