"""A program for `test_backups`: backs up or restores, and is killed by itself once so many files are on disk.

On the command line: `back_up` or `restore`, the store's root, the folder of backups, how many times something is
flushed to disk before the kill, the tenant. On standard input: the tenant's data and search keys, each in hexadecimal
on a line.
"""

import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from cohortium_platform.keys import TenantKeys
from cohortium_platform.portability import backups


def main():
    what, root, folder, times, tenant = sys.argv[1:]
    data, search = (bytes.fromhex(line) for line in sys.stdin.read().split())
    left, flush = int(times), os.fsync

    def fsync(descriptor):
        nonlocal left
        flush(descriptor)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync
    keys = TenantKeys(UUID(tenant), data=data, pseudonym=data, search=search, audit=data)
    getattr(backups, what)(Path(root), keys, Path(folder))


main()
