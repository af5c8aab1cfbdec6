"""Runplane launches workflow runs and executes their steps."""

__version__ = "0.1.0"
