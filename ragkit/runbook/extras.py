"""Packages that only some commands need, and what to install when they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from ragkit.errors import ConfigError


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Imports inside of it need an extra of ragkit. Raises ConfigError, which names it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this needs the package {error.name!r}: in the checkout: pip install '.[{name}]'"
        ) from None
