"""How the application is set: Celery and its logs. ``vertexq.settings`` reads the environment."""
