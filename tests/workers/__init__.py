"""Chunks on other machines: by a pool of processes, and by a Dask scheduler with real workers."""
