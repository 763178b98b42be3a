"""`python -m wandb_devserver` is the command `wandb-devserver`."""

from wandb_devserver._cli import main

main(prog_name="wandb-devserver")
