"""What every service process needs: settings, logs, traces, health, problems, serving."""
