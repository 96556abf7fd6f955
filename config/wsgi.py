"""The WSGI application, with the production settings unless told otherwise."""

import os

from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application

from config.connections import spare_health_check

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_wsgi_application()
request_started.connect(spare_health_check)
