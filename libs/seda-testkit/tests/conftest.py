pytest_plugins = ["seda_testkit.plugin"]
