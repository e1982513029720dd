"""Connects to the engine at an address, a Dask scheduler; nothing of Dask is imported before.

PyMyx starts no scheduler and no worker, and keeps no state in them: Dask runs what it is handed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from ipaddress import ip_address

from pymyx.core.errors import Fault, UsageError
from pymyx.core.isolation.children import signals_held
from pymyx.core.options import Listener, Options

ANSWER_S = 9.0  # for a scheduler to answer
CLOSE_S = 2.0  # for it to be told that it is not needed any more


@contextmanager
def connected(options: Options, listener: Listener) -> Iterator[Options]:
    """The options with the executor that is at their address, while it is connected to.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers there.
    """
    where = str(options.executor).removeprefix("dask:")
    place = {"scheduler_file": where} if os.path.isfile(where) else {"address": where}
    with signals_held():  # the threads that are started here inherit it: none may take a signal
        try:
            client = import_module("distributed").Client(**place, timeout=ANSWER_S, set_as_default=False)
            address, slots = client.scheduler.address, sum(client.nthreads().values())
        except ImportError:
            raise UsageError(Fault("Dask is not installed", hint="pip install 'pymyx[dask]'")) from None
        except Exception as error:  # whatever Dask raises: an address, a certificate, a scheduler that is not there
            what = f"no Dask scheduler answers at `{where}`"
            hint = "is it running, and its address right? try: dask scheduler"
            raise UsageError(Fault(what, evidence=(f"{type(error).__name__}: {error}",), hint=hint)) from error
    try:
        if is_open(address):
            note = f"`{address}` is not encrypted: whoever reaches it runs code on every worker"
            listener.show_once(f"{note}; use tls:// (Dask's distributed.comm.tls)")
        # pure: Dask would take equal work for the same, and might answer with an old result
        executor = client.get_executor(pure=False)
        yield replace(options, executor=executor, jobs=options.jobs or slots or None)
    finally:
        closer = threading.Thread(target=client.close, args=(CLOSE_S,), daemon=True)
        closer.start()
        closer.join(2 * CLOSE_S)


def is_open(address: str) -> bool:
    """Whether an address is plain TCP on a network."""
    scheme, _, rest = address.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        return scheme == "tcp" and not ip_address(host).is_loopback
    return scheme == "tcp" and host != "localhost"
