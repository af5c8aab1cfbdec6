"""The coordinator's side of the template: it keeps a template alive, keeps children ready, hands out orders, and hears everything.

Admission test: it runs in the coordinator's process, on the one thread of a ``Loop``, and deals with processes and their sockets. It imports
no user code, knows no run and opens no database; nothing it waits for can hold it up: what a child does not read is queued, what a
child does not say is not waited for.

- ``contract.py``: what goes in (settings, jobs) and what comes out (how a process ended, and who hears of it);
- ``template_process.py`` and ``child.py``: one process and its connection each;
- ``step_processes.py``: which child gets which job, and what follows from what is heard;
- ``ends.py``: exit codes in words, and the end of what a dead process left behind.
"""
