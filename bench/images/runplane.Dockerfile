# The project's image with the jobs that are measured: for on_a_cluster.py.
ARG BASE
FROM ${BASE}
ENV BENCH_PACKAGE=runplane
COPY jobs.py /bench/jobs.py
