"""Uses a queue and shared memory of multiprocessing."""

import multiprocessing
from multiprocessing import shared_memory


def _answer(queue):
    queue.put(42)


def run(input_dir, output_dir, params):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=_answer, args=(queue,))
    process.start()
    assert queue.get(timeout=10) == 42
    process.join()
    block = shared_memory.SharedMemory(create=True, size=1000)
    block.close()
    block.unlink()
