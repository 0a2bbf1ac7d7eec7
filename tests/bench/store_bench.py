"""What the line costs the store: `python -m tests.bench.store_bench [size ...]`.

Prints microseconds of CPU a ticket for a lone poll and for batches, at each line size, through the real library in a
Valkey that writes no file, with the client's own encoding; and bytes of the server's memory a waiting ticket.
"""

import random
import secrets
import sys
from time import process_time

from tests.store.driver import Line, Server, rules
from waitroom.admission.line import Presence
from waitroom.store import codec
from waitroom.store.keys import call

BATCHES = (1, 16, 64, 256)
POLLS = 20_000


def fill(line: Line, size: int) -> list[Presence]:
    """A line of `size` confirmed tickets."""
    tickets = []
    first = line.now_ms * 1000 - size
    for at in range(0, size, 256):
        batch = [
            Presence(secrets.token_urlsafe(12), arrival_us=first + n, confirmed=True)
            for n in range(at, min(size, at + 256))
        ]
        line.present(*batch)
        tickets += batch
    return tickets


def memory(server: Server) -> int:
    """The server's memory in bytes."""
    return int(server.client.info("memory")["used_memory"])


def cpu_s(server: Server) -> float:
    """CPU seconds that the server's process has used."""
    used = server.client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def polls_us(server: Server, line: Line, tickets: list[Presence], batch: int) -> tuple[float, float]:
    """Microseconds of CPU a ticket: the server's, and this process's for encoding, socket and decoding."""
    chance = random.Random(1)
    rounds = max(1, min(POLLS, 3_000 * batch) // batch)
    picked = [chance.sample(tickets, batch) for _ in range(rounds)]
    theirs, ours = cpu_s(server), process_time()
    for tickets_now in picked:
        exams, own = codec.present_arguments(tickets_now)
        command = call(line.pool, "wr_present", line.backends, exams.items(), own, now_ms=line.now_ms)
        codec.standings(tickets_now, line.backends, line.client.execute_command(*command))
    scale = 1e6 / (rounds * batch)
    return (cpu_s(server) - theirs) * scale, (process_time() - ours) * scale


def main(sizes: list[int]) -> None:
    """Run and print."""
    for size in sizes:
        server = Server()
        try:
            line = Line(server.client)
            line.write(rules(0, 0))
            before = memory(server)
            tickets = fill(line, size)
            held = (memory(server) - before) / size
            print(f"line of {size:>9,}: {held:.0f} bytes a waiting ticket")
            for batch in BATCHES:
                theirs, ours = polls_us(server, line, tickets, batch)
                print(
                    f"  batch {batch:>3}: {theirs:6.1f} us of CPU a ticket in the server, {ours:6.1f} us in the client"
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 100_000])
