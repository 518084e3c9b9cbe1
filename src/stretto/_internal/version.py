"""The version of the installed package. Knows nothing else."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("stretto")
except PackageNotFoundError:  # a source tree on the path that nobody installed
    __version__ = "0+unknown"
