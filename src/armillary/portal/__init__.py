"""The web pages: server-rendered with Jinja2 and htmx, in English and French."""
