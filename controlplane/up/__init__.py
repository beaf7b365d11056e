"""The supervisor: starts every part of an embedded platform, keeps it running, stops it cleanly."""

from controlplane.up.checks import StartError
from controlplane.up.platform import Platform

__all__ = ["Platform", "StartError"]
