"""Python runs this first in every process that has the folder on its PYTHONPATH.

Workers are started by spawning, so a patch made in the parent alone would not reach them.
"""

import os

mutant = os.environ.get("SEDA_MUTANT")
if mutant:
    from seda_faults.mutants import mutate

    try:
        mutate(mutant)
    except BaseException as error:
        # `site` swallows exceptions of this module: a mutant that changed nothing must not pass
        # for a correct program.
        os.write(2, f"mutant {mutant} could not be made: {error!r}\n".encode())
        os._exit(70)
