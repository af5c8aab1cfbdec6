"""What Flower has to know to count what waits: on Redis a queue is ten lists, one for each priority. Celery finds this module by its name."""

broker_transport_options = {"priority_steps": list(range(10))}
