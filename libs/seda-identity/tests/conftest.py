"""Keys and a published JWKS of our own, served over loopback HTTP."""

pytest_plugins = ["seda_testkit.plugin"]
