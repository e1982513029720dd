"""The core runs treatments and flows; it raises, it never prints and never exits (`pymyx/cli.py` does).

    treatment.json ─> Treatment ─> merged params ─┐                        ┌─ stage ─ os.replace ─> output folder
      models           validator                  └> job (stdin) ─> child ─┤            publish
    flow step / command line params ──────────────┘    isolation    shim   └─ outcome (stderr) ─> one event line
                                                                                      runner          logger

Imports point one way, and a test holds them to it: errors <- project <- models
<- contract, source, logger, relay, publish <- treatments, confinement, isolation, lock <- validator, verdict
<- runner <- flow <- cli. What runs inside the child is in shim/, which imports nothing of PyMyx.
"""
