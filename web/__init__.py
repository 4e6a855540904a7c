"""The dashboard: Jinja2 templates and vendored assets, installed as the package `qstore_web`."""
