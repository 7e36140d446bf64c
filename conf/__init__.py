"""Hydra configuration: one YAML a choice, composed by `pipeline.cli.command`."""
