"""PyMyx runs treatments: small Python files that turn a folder of sensor data into another folder.

    import pymyx
    pymyx.run_treatment("parse", "data/00_raw", "data/10_parsed", {"delimiter": ","})
    pymyx.run_flow("valvometry_daily")

Every error that a user can meet is a `pymyx.PymyxError`. The names are imported when first used, so that
`import pymyx` costs nothing. `pymyx/core/__init__.py` draws how the parts work together.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymyx.core.errors import PymyxError
    from pymyx.core.flow import run_flow
    from pymyx.core.runner import run_treatment

__all__ = ["PymyxError", "run_flow", "run_treatment"]

_HOMES = {"PymyxError": "errors", "run_flow": "flow", "run_treatment": "runner"}


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pymyx' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pymyx.core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
