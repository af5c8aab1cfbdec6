"""The exit codes of the command, one table.

Codes 0 to 2 are the shell's habits; the others name what happened to a worker, so that a Job's or a process' exit code alone
tells an operator what to look for.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``runplane``. ``INTERRUPTED`` and ``TERMINATED`` follow the shell's 128 + signal."""

    OK = 0
    """Done; also: a run that another worker holds, a run that is finished, a failed run under ``api`` without the flag."""
    FAILED = 1
    """The run failed (``job execute``, ``api execute_run`` with ``set_exit_code_on_failure``), or an error of ours."""
    BAD_INPUT = 2
    """What was given can not be used; nothing was written. Verbs for people also use it when the database is away."""
    FENCED = 70
    """Another coordinator took the run over; this one ended its children and left."""
    REVOKED = 71
    """The attempt was sealed or the run ended before user code began."""
    NO_INSTANCE = 72
    """``api`` verbs: the document holds no instance and the environment names none."""
    DATABASE_UNREACHABLE = 73
    """``api`` verbs: no answer within ``RUNPLANE_DB_START_WAIT`` seconds."""
    VERSION_SKEW = 74
    """The run, a document or the schema was written by a newer major version."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """``api`` verbs: SIGTERM before any step ran here; a run that was claimed is given up, so that another worker may have it; or an attempt of
    a step was told to end while nobody had canceled the run: it has no outcome."""
