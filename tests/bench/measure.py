# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process has used so far, as the kernel counts it."""

import os
import re

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_times(pid):
    """Seconds of user and of system time of a process. Ticks are coarse: ask over many frames."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        fields = stream.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def cpu_seconds(pid):
    return sum(cpu_times(pid))


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as stream:
        return int(re.search(r"^VmRSS:\s+(\d+)", stream.read(), re.M)[1]) / 1024
