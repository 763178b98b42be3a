"""Hyperparameter search: what a sweep's configuration means, and which trial comes next. Knows no database."""
