"""Imports of the examples, at the start of an interpreter whose `PYTHONPATH` has this folder.

The forkserver of a sweep's trials is a new interpreter. Without this, each of its trials would import sklearn anew,
which takes many times longer than the trial.
"""

import sklearn.datasets
import sklearn.linear_model
import sklearn.metrics
import sklearn.model_selection  # noqa: F401
