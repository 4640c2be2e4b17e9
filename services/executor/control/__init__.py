"""Operators' commands to the executors themselves: one file for each noun, one table of them all."""

from services.executor.control.intake import Control
from services.executor.control.ports import Caller, Controls

__all__ = ["Caller", "Control", "Controls"]
