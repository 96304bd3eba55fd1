"""What every test may use."""

import os

import hypothesis

pytest_plugins = ["tests.servers.fixtures"]

# No deadline: on a busy machine an example takes long for no fault of the code. In CI the same examples every time.
_IN_CI = bool(os.environ.get("CI"))
hypothesis.settings.register_profile(
    "tallystream",
    deadline=None,
    derandomize=_IN_CI,
    database=None if _IN_CI else hypothesis.settings.default.database,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tallystream")
