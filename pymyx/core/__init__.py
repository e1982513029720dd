"""The core runs treatments and flows; it raises, it never prints and never exits (`pymyx/cli/` does).

    treatment.json ─> Treatment ─> merged params ─┐ plan: the stale days    ┌─ stage ─ os.replace ─> output folder
      contract/                                   ├> job (stdin) ─> child ──┤            incremental/
    flow step / command line params ──────────────┘    isolation/   shim    └─ outcome (stderr) ─> one event line
    manifest, input and output files ─────────────┘                              runner            logger

The walk of one run, in the terms of the code:

    runner.run_treatment          options_and_listener, load_step: all that can be wrong beforehand is said now
      lock.locked                 one run at a time on an output folder; stages of killed runs go; Output: its manifest
      runner.execute              the life of one execution
        plan.plan_step            facts.look: files and code, as they are; make_plan: which days are stale, and why
        publish.clear_pending     what a killed run had half put in place
        logger.log_event          `start`
        chunks.make               the stale days, a child for each chunk, side by side
          stage.staged            private folders: what it writes, works in, and a view of what it reads
          work.Here.start         files.read_inputs: the hashes of what it is about to read
            children.start        child.Child: the shim, its job on stdin, kept in by confinement.rules
          work.Here.wait          publish.take_stock: what it left, hashed and flushed
            children.wait         Child.read shows what it prints; Child.end tells how it ended, with both proofs
          publish.publish         intent, renames, manifest in memory; or failure.treatment_error, and its halves again
          Removal.settle          what is not made any more goes, never all unasked
        Output.write_manifest     what was made from what
        logger.log_event          `success` or `error`
        verify.verify             only if asked: made again, compared
    flow.run_flow                 each folder locked and its owner checked, then `execute` for each step

Where a change begins, in files of `pymyx/` and the names in them:

    a key of treatment.json       core/contract/models.py: Treatment; then `python -m tests.write_schemas`
    a field of an event           core/contract/models.py: Event; core/logger.py: log_event
    a reason why a day is stale   core/incremental/plan.py: Reason, _reason; what it is found by:
                                  core/incremental/facts.py: Facts, look; core/incremental/manifest.py: MadeDay
    a way in which a child ends   core/isolation/child.py: Stopped, Ending; core/isolation/failure.py: treatment_error;
                                  who stops it: core/isolation/children.py: Children; then core/chunks.py: Chunks
    a command                     cli/main.py: _COMMANDS; cli/arguments.py: HELP, ABOUT, _add_own; tests/cli/help.txt
    an option of a run            core/options.py: Options; cli/arguments.py: _add_run_options;
                                  cli/main.py: _run_options
    a format of data loggers      no matter of the core: treatments/parse/stamps.py: format_of, instant_of (of times),
                                  treatments/parse/lines.py: shape_of; to be proposed: cli/sniff/stamps.py: read

Imports point one way, and a test holds them to it: errors <- project <- contract <- {logger, validator, isolation,
incremental} <- {options, work, engine, workers, chunks, verify} <- runner <- flow <- {status, cli}; isolation,
incremental and validator do not know each other. What runs inside the child is in isolation/shim/, which imports
nothing of PyMyx.
"""
