"""Variables for the processes of tests of something else: settings of the SDK, and imports."""

from pathlib import Path

LIGHT_RUNS = {
    # Otherwise each run reads the metadata of every installed package: more CPU time than all the rest of a short run.
    "WANDB_X_SAVE_REQUIREMENTS": "false",
    # Otherwise each run starts a process that samples the machine.
    "WANDB_X_DISABLE_STATS": "true",
}
SKLEARN_AT_START = {
    "PYTHONPATH": str(Path(__file__).with_name("sklearn_at_start")),
    # Its threads would not survive a fork.
    "OPENBLAS_NUM_THREADS": "1",
}
