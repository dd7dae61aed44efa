"""The plugin host: finds plugins, decides what a name stands for, and calls them guarded."""

from expcore.host.host import PluginHost as PluginHost
from expcore.host.host import PluginStatus as PluginStatus
from expcore.host.host import default_host as default_host
from expcore.host.host import set_default_host as set_default_host
from expcore.host.registry import PluginFailure as PluginFailure
from expcore.host.resolution import Candidate as Candidate
from expcore.host.resolution import Resolution as Resolution
