"""Package attributes that are imported on first use (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module-level `__getattr__` for a package.

    Args:
        package: The name of the package, for messages.
        modules: The full name of the module that has an attribute, by the attribute's name.
    """

    def __getattr__(name: str) -> object:  # noqa: N807 - becomes the package's
        if name not in modules:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(modules[name]), name)

    return __getattr__
