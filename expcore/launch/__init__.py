"""A cluster of processes on this machine, for trying and testing what runs on several."""

from expcore.launch.network import leave_network
from expcore.launch.shape import Shape
from expcore.launch.supervisor import Supervisor

__all__ = ["Shape", "Supervisor", "leave_network"]
