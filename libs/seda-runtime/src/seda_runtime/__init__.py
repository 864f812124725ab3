"""What every service process needs: settings, logs, traces, health, problems, serving.

It knows no product noun and reads the environment only through `settings.load`.
"""
