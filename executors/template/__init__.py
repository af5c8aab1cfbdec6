"""The process that imports the user's code once and forks a child for each step.

Admission test: it runs in the template process or in a step's process, or is spoken between them and their coordinator. It opens
no database and no connection to the outside, and starts no thread.

Three kinds of process:

- the *coordinator* (``executors/processes``) imports no user code and starts one template;
- the *template* (``host.py``) imports the user's code, looks whether it may be forked (``inspection.py``), and forks, signals and
  reaps the steps' processes; where forking is unsafe a template that imported nothing starts each step anew;
- a *step's process* (``step_process.py``) waits for its order, runs one attempt, and writes its events through its own socket pair to the
  coordinator (``wire.py``). It ends with the template, and the template ends with the coordinator.

``python -m runplane.executors.template`` is the program for jobs (``__main__.py``); any other program that calls ``host.serve`` will do.
"""
