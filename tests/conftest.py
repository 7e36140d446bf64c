"""What every test folder shares. Being here also puts ``tests/`` on the path, for `support`."""

from hypothesis import settings

# A first call may compile a kernel, and other processes may hold the cores: no time limit a case.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
