"""The base of exceptions that end a task."""

from wandb_artifacts import WandbPluginError


class TaskError(WandbPluginError):
    """An error that ends a task. Flyte shows its text without its class, so the text names the class."""

    def __str__(self) -> str:
        return f"{super().__str__()} [{type(self).__name__}]"
