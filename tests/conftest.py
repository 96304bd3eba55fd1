"""What every test may use."""

import os

import hypothesis

pytest_plugins = ["tests.servers.fixtures"]

# No deadline: on a busy machine an example takes long for no fault of the code. In CI the same examples every time.
hypothesis.settings.register_profile(
    "tallystream",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tallystream")
