"""The supervisor: starts every part of an embedded platform, keeps it running, stops it cleanly."""

from controlplane.up.platform import Platform, StartError

__all__ = ["Platform", "StartError"]
