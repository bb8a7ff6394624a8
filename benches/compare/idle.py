"""What an idle client costs: many log in, each runs one statement, all stay; RSS is read.

Measured first, on processes that have carried no load yet, since memory that a load left behind
would hide what the clients take. The kernel's socket buffers are in no process's RSS.
"""

import asyncio
import resource

import process
import wire

TOGETHER = 32
SETTLE_SECONDS = 3
WARM_CLIENTS = 50


def allow_many_sockets():
    """As many descriptors as the system lets this process (and its children) have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(server, target, counts):
    """KiB per client for each count, in rising order; a reason in place of a figure that failed."""
    return asyncio.run(_measure(server, target, sorted(counts)))


async def _measure(server, target, counts):
    clients, results = [], {}
    try:
        await _close(await _log_in(server, target, WARM_CLIENTS))
        await asyncio.sleep(SETTLE_SECONDS)
        before = process.rss_kib(target.pid)
        for count in counts:
            clients += await _log_in(server, target, count - len(clients))
            await asyncio.sleep(SETTLE_SECONDS)
            results[count] = (process.rss_kib(target.pid) - before) / count
    except (OSError, EOFError, RuntimeError, TimeoutError, wire.ServerError) as error:
        reason = f"after {len(clients)} clients: {str(error) or type(error).__name__}"
        results |= {count: reason for count in counts if count not in results}
    finally:
        await _close(clients)
        await asyncio.sleep(SETTLE_SECONDS)  # the server lets go of its threads
    return results


async def _log_in(server, target, count):
    """Logs in `count` clients, a few at a time; all are closed again when one fails."""
    gate, opened = asyncio.Semaphore(TOGETHER), []

    async def one():
        async with gate, asyncio.timeout(60):
            client = await wire.connect(target.endpoint, server.user, server.password)
            opened.append(client)
            await client.query("SELECT 1")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
    except BaseException as error:
        await _close(opened)
        raise error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    return opened


async def _close(clients):
    for client in clients:
        await client.close()
