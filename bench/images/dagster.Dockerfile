# Dagster on the base of runplane's own image, with the versions of the environment that it is measured in elsewhere: for on_a_cluster.py.
ARG BASE
FROM ${BASE}
COPY requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/dagster-env \
 && /opt/dagster-env/bin/pip install --no-cache-dir --disable-pip-version-check --requirement /tmp/requirements.txt
ENV PATH=/opt/dagster-env/bin:$PATH BENCH_PACKAGE=dagster
COPY jobs.py /bench/jobs.py
