from wandb_artifacts._cli import main

main()
