"""Made by cffi from csrc/shared when the package is built."""

from typing import Any, Final

ffi: Final[Any]
lib: Final[Any]
