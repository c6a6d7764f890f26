"""What processes use of the machine: CPU and memory, by /proc. Holds up under noise where rates do not."""

import os
import resource
import time

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()


def tree(root):
    """The process and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(entry)[1]), []).append(int(entry))
            except OSError:
                pass
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """CPU of a process tree, its ended children included: a Postgres is its postmaster's tree."""
    total = 0
    for pid in tree(root):
        try:
            total += sum(int(x) for x in _stat(pid)[11:15])
        except OSError:
            pass
    return total / TICK


def memory_mib(pid):
    """(resident now, most ever resident) of one process."""
    now = most = 0
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                now = int(line.split()[1])
            elif line.startswith("VmHWM:"):
                most = int(line.split()[1])
    return round(now / 1024, 1), round(most / 1024, 1)


def tree_memory_mib(root):
    return round(sum(memory_mib(pid)[0] for pid in tree(root)), 1)


def machine_busy():
    """Seconds of CPU used by everybody since boot, steal included."""
    with open("/proc/stat") as f:
        values = [int(x) for x in f.readline().split()[1:9]]
    return (sum(values) - values[3] - values[4]) / TICK


def wait_for_quiet(patience_seconds, cores=0.25, sample_seconds=0.3):
    """Returns after a moment in which others used fewer than so many cores, or when patience is over."""
    end = time.monotonic() + patience_seconds
    while time.monotonic() < end:
        before = machine_busy()
        time.sleep(sample_seconds)
        if machine_busy() - before < cores * sample_seconds:
            return


class Meter:
    """CPU of the watched process trees, of our ended children (the load generators), and of everybody else."""

    def __init__(self, watched):
        self.watched = {name: pid for name, pid in watched.items() if pid}
        self.began = time.monotonic()
        self.cpu = {name: cpu_seconds(pid) for name, pid in self.watched.items()}
        self.busy = machine_busy()
        self.children = self._children()

    @staticmethod
    def _children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def stop(self, requests):
        seconds = time.monotonic() - self.began
        used = {name: cpu_seconds(pid) - self.cpu[name] for name, pid in self.watched.items()}
        used["client"] = self._children() - self.children
        others = machine_busy() - self.busy - sum(used.values())
        row = {f"cpu_us_{name}": round(cpu * 1e6 / max(1, requests), 1) for name, cpu in used.items()}
        row["cores_others"] = round(max(0.0, others) / seconds, 2)
        return row
