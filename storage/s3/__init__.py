"""What steps print, kept in a bucket of any S3 service.

Admission test: it knows of logs and of objects in a bucket; it knows no run's state. Descriptors 1 and 2 of a step are files of its
machine, as with local logs (``storage/compute_logs.py``); a small process of its own, the *uploader*, brings them to the bucket while
they grow. Read in this order: ``layout`` (names of objects), ``settings`` (Dagster's two configurations), ``store`` (what workers and
readers call), ``uploader`` (the process), ``uploads`` (its work), ``objects`` (the only module that loads the S3 client).
"""
