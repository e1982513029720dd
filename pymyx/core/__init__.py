"""The core runs treatments and flows; it raises, it never prints and never exits (`pymyx/cli/` does).

    treatment.json ─> Treatment ─> merged params ─┐ plan: the stale days    ┌─ stage ─ os.replace ─> output folder
      contract/                                   ├> job (stdin) ─> child ──┤            incremental/
    flow step / command line params ──────────────┘    isolation/   shim    └─ outcome (stderr) ─> one event line
    manifest, input and output files ─────────────┘                              runner            logger

Imports point one way, and a test holds them to it: errors <- project <- contract <- {logger, validator, isolation,
incremental} <- {options, chunks, verify} <- runner <- flow <- {status, cli}; isolation, incremental and validator do
not know each other. What runs inside the child is in isolation/shim/, which imports nothing of PyMyx.
"""
