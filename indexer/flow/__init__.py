"""The verbs: what happens, in which order. They return what happened. No SQL text, no sockets, no Celery."""
