"""Entry point of `python -m wandb_devserver`."""

from wandb_devserver._cli import main

main(prog_name="wandb-devserver")
