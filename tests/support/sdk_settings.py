"""Settings of the SDK in tests of something else."""

LIGHT_RUNS = {
    # Otherwise each run reads the metadata of every installed package: more CPU time than all the rest of a short run.
    "WANDB_X_SAVE_REQUIREMENTS": "false",
    # Otherwise each run starts a process that samples the machine.
    "WANDB_X_DISABLE_STATS": "true",
}
