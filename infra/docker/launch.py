"""Entry point of a service image: `python -m $SEDA_PACKAGE <serve|migrate|describe>`.

A Dockerfile's ENTRYPOINT cannot hold a build argument without a shell in between, and a shell as
process 1 would swallow SIGTERM. So the package name arrives as an environment variable.
"""

import os
import runpy

runpy.run_module(os.environ["SEDA_PACKAGE"], run_name="__main__", alter_sys=True)
