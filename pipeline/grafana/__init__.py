"""The platform's live numbers, pushed to Grafana Live."""
