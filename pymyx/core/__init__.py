"""The core runs treatments and flows; it raises, it never prints and never exits (`pymyx/cli.py` does).

    treatment.json ─> Treatment ─> merged params ─┐                        ┌─ stage ─ os.replace ─> output folder
      models           validator                  └> job (stdin) ─> child ─┤            publish
    flow step / command line params ──────────────┘    isolation    shim   └─ outcome (stderr) ─> one event line
                                                                                      runner          logger

Imports point one way, and a test holds them to it:
errors <- project <- models <- validator, logger, isolation, publish <- runner <- flow <- cli.
"""
