"""The core runs treatments and flows; it raises, it never prints and never exits (`pymyx/cli.py` does).

    treatment.json ─> Treatment ─> merged params ─┐ plan: the stale days   ┌─ stage ─ os.replace ─> output folder
      models           validator                  ├> job (stdin) ─> child ─┤            publish
    flow step / command line params ──────────────┘    batch        shim   └─ outcome (stderr) ─> one event line
    manifest, input and output files ─> survey ───┘                                   verdict         logger

Imports point one way, and a test holds them to it: errors <- project <- models <- contract, grants, logger, relay,
source, stage <- treatments, confinement, child, lock, manifest, places <- validator, isolation, folder <- verdict,
owner, plan, publish, warned <- options, removal, survey <- batch, notes, record <- verify <- runner <- flow <- cli.
What runs inside the child is in shim/, which imports nothing of PyMyx.
"""
